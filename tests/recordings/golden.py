# SPDX-License-Identifier: MIT
"""What taking, checking and listing the golden recordings share."""

import difflib
import json
import lzma
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BINARY = os.environ.get("DORA_PROBE", os.path.join(TOP, "build", "dora-probe"))
# Text shows local time, and a locale must not matter.
ENVIRON = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}


def version():
    return subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip()


def recordings():
    """Names of all recordings: the folders that hold one."""
    return sorted(n for n in os.listdir(HERE)
                  if os.path.exists(os.path.join(HERE, n, "how.json")))


def how(name):
    with open(os.path.join(HERE, name, "how.json")) as f:
        return json.load(f)


def unpacked(folder):
    with lzma.open(os.path.join(folder, "recording.rec.xz")) as f:
        return f.read()


def replay(folder, args, command="replay"):
    """(exit code, standard output, standard error) of a replay. Messages name the file, so it has
    the same name each time: it is given relative to a folder of its own."""
    with tempfile.TemporaryDirectory() as tmp:
        with open(os.path.join(tmp, "recording.rec"), "wb") as f:
            f.write(unpacked(folder))
        got = subprocess.run([BINARY, command, "recording.rec", *args], cwd=tmp, env=ENVIRON,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return got.returncode, got.stdout, got.stderr


def new_replay(folder, args, number):
    """Stores what replay gives with these arguments; the entry for how.json."""
    command, rest = ("report", args[1:]) if args[:1] == ["report"] else ("replay", args)
    code, out, err = replay(folder, rest, command)
    name = f"{number}.jsonl" if "--json" in rest else f"{number}.txt"
    if command == "report":
        name = f"{number}.report.txt"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(out)
    return {"command": command, "args": rest, "exit": code, "stderr": err.decode(), "output": name}


def difference(want, got, limit=12):
    """A short unified diff of two outputs, cut to what a person reads; "" when they are equal."""
    if want == got:
        return ""
    a = want.decode(errors="backslashreplace").splitlines()
    b = got.decode(errors="backslashreplace").splitlines()
    lines = [x for x in difflib.unified_diff(a, b, "expected", "replay", lineterm="", n=0)]
    if not lines:
        return "the outputs differ in line ends only"
    cut = [x if len(x) < 300 else _around(x, lines) for x in lines[:limit]]
    more = [f"... and {len(lines) - limit} more lines"] if len(lines) > limit else []
    return "\n".join(cut + more)


def _around(line, lines):
    """Of a long line the part around its first difference from the line that replaced it."""
    other = next((x for x in lines if x[0] != line[0] and x[0] in "+-" and x[:4] not in
                  ("+++ ", "--- ") and os.path.commonprefix([x[1:], line[1:]])), "")
    at = len(os.path.commonprefix([other[1:], line[1:]])) + 1
    return f"{line[:80]} ... {line[max(80, at - 100):at + 100]} ..."


def mismatches(folder, entry):
    """What is wrong with one stored replay: sentences, none when all is the same."""
    code, out, err = replay(folder, entry["args"], entry["command"])
    with open(os.path.join(folder, entry["output"]), "rb") as f:
        want = f.read()
    problems = []
    if code != entry["exit"]:
        problems.append(f"exit code {code}, want {entry['exit']}: {err.decode()[-300:]}")
    diff = difference(want, out)
    if diff:
        problems.append(diff)
    if err.decode() != entry["stderr"]:
        problems.append(f"standard error {err.decode()!r}, want {entry['stderr']!r}")
    return problems


def matches(pattern, line):
    """A pattern is a line's fields: equal, or for a string with * before it contained; * alone is
    anything that is known."""
    for key, want in pattern.items():
        have = line.get(key)
        if want == "*":
            if have is None:
                return False
        elif isinstance(want, str) and want.startswith("*"):
            if want[1:] not in str(have):
                return False
        elif have != want:
            return False
    return True


def not_shown(patterns, lines):
    return [p for p in patterns if not any(matches(p, x) for x in lines)]


def rewrite(name):
    """Takes what replay gives now for right. Only after a fault was mended: the note in README.md
    then says which lines changed, and why."""
    folder = os.path.join(HERE, name)
    h = how(name)
    h["replays"] = [new_replay(folder, ["report", *r["args"]] if r["command"] == "report"
                               else r["args"], n) for n, r in enumerate(h["replays"])]
    with open(os.path.join(folder, "how.json"), "w") as f:
        json.dump(h, f, indent=1)
        f.write("\n")
