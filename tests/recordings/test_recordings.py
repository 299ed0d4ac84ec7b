#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden recordings: what replay gives is byte for byte what it gave when they were taken.

  test_recordings.py [OPTION…]  all checks, by pytest (tests/pytest.sh)
  test_recordings.py --coverage what occurs in which recording, and what occurs in none
  test_recordings.py --rewrite NAME...   take what replay gives now for right (after a mend)
"""

import glob
import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import coverage_listing  # noqa: E402
import golden  # noqa: E402
import schema  # noqa: E402

REPLAYS = [(name, number) for name in golden.recordings()
           for number in range(len(golden.how(name)["replays"]))]


def if_meant(name):
    """What to do where the difference is what a change of the code was for."""
    return f"if it is meant: tests/recordings/test_recordings.py --rewrite {name}, and look at the difference"


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        ids = [f"{name}-{golden.how(name)['replays'][n]['output']}" for name, n in REPLAYS]
        metafunc.parametrize("name,number", REPLAYS, ids=ids)


def test_replay(name, number):
    """Output, exit code and messages of one stored replay."""
    folder = os.path.join(HERE, name)
    entry = golden.how(name)["replays"][number]
    problems = golden.mismatches(folder, entry)
    command = " ".join(["dora-probe", entry["command"], f"{name}/recording.rec.xz", *entry["args"]])
    assert not problems, "\n".join([command, *problems, if_meant(name)])


def test_lines_are_as_the_page_says(name, number):
    """Every line of a stored replay has the fields of docs/json.md, in its order and types."""
    entry = golden.how(name)["replays"][number]
    if not entry["output"].endswith(".jsonl"):
        return  # text and reports have tests of their own
    with open(os.path.join(HERE, name, entry["output"]), encoding="utf-8") as f:
        for text in f:
            line = json.loads(text)
            assert schema.problems_of(line) == [], f"{text}{if_meant(name)}"
            fields = [*schema.FIELDS["line"], *schema.FIELDS[line["event"]]]
            assert list(line) == fields, f"{text}{if_meant(name)}"


def first_with(ending):
    """A recording, and the number of its first replay whose output has that ending."""
    return next((name, n) for name, n in REPLAYS
                if golden.how(name)["replays"][n]["output"].endswith(ending))


def changed(ending, change):
    """What the check says when `change` was made to a copy of a recording's folder."""
    name, n = first_with(ending)
    entry = golden.how(name)["replays"][n]
    with tempfile.TemporaryDirectory() as tmp:
        folder = shutil.copytree(os.path.join(HERE, name), os.path.join(tmp, name))
        assert golden.mismatches(folder, entry) == []
        return golden.mismatches(folder, change(folder, entry) or entry)


def edit(folder, entry, f):
    path = os.path.join(folder, entry["output"])
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(f(data))


def test_finds_a_changed_byte():
    """The check itself: every single changed, missing or added byte is found and shown."""
    for ending in (".jsonl", ".txt"):
        def flip(data):
            middle = len(data) // 2
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        for f in (flip, lambda d: d[:-1], lambda d: d + b"x", lambda d: d.replace(b"\n", b"\r\n", 1)):
            got = changed(ending, lambda folder, entry, f=f: edit(folder, entry, f))
            assert got and got[0].strip(), f"a change of {ending} was not found"


def test_finds_other_options():
    """The check itself: a threshold that is not the stored one is found."""
    got = changed(".jsonl", lambda folder, entry: dict(
        entry, args=[*entry["args"], "--token-threshold", "10s", "--hold-threshold", "10s"]))
    assert got, "other thresholds gave the same output"


def test_finds_another_exit_code():
    """The check itself: an exit code and a message that are not the stored ones are found."""
    got = changed(".jsonl", lambda folder, entry: dict(entry, exit=entry["exit"] + 1))
    assert any("exit code" in x for x in got)
    got = changed(".jsonl", lambda folder, entry: dict(entry, stderr="something\n"))
    assert any("standard error" in x for x in got)


def test_holds_what_it_is_for():
    """Each recording still shows what it was taken for, by its own stored output."""
    for name in golden.recordings():
        how = golden.how(name)
        with open(os.path.join(HERE, name, how["replays"][0]["output"])) as f:
            lines = [json.loads(x) for x in f]
        assert golden.not_shown(how["shows"], lines) == [], name


def test_coverage_knows_each_refusal():
    """coverage_listing.py tells refusals by their words: all of policy.h, by words that are still said."""
    said = "".join(open(f, encoding="utf-8").read() for f in glob.glob(os.path.join(golden.TOP, "agent/decide/*.c")))
    assert set(coverage_listing.REFUSALS) == set(coverage_listing.wanted()["refusal"])
    assert [words for words in coverage_listing.REFUSALS.values() if words not in said] == []


def test_no_paths_of_a_machine():
    """Nothing below a home or a build folder is named: nodes and Python lie in neutral places."""
    for name in golden.recordings():
        data = golden.unpacked(os.path.join(HERE, name))
        for bad in (b"/home/", b"/root", golden.TOP.encode(), b"/build/"):
            assert bad not in data, f"{name} holds {bad}"


def main(args):
    if args[:1] == ["--coverage"]:
        coverage_listing.show()
        return 0
    if args[:1] == ["--rewrite"]:
        for name in args[1:] or golden.recordings():
            golden.rewrite(name)
        return 0
    pytest = os.path.join(HERE, "..", "pytest.sh")
    os.execv(pytest, [pytest, *args, os.path.abspath(__file__)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
