# SPDX-License-Identifier: MIT
"""One cell of the matrix: a target is started, watched, and what was said of it compared with its own truth."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from flow import DEFAULT_SIGNALS, end_process, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, "build", "matrix")
RESULTS = os.path.join(BUILD, "results.json")
PROBE = os.environ.get("DORA_PROBE", os.path.join(TOP, "build", "dora-probe"))
TARGET = os.path.join(HERE, "target.py")
PATIENCE_S = 60


class Refused(Exception):
    """The probe does not take it and says so: its sentence."""


class NotTried(Exception):
    """Cannot be had here: why."""


def line_of(mark):
    with open(TARGET) as f:
        return next(i for i, text in enumerate(f, 1) if text.endswith(f"# LINE {mark}\n"))


def wait_for(get, what, seconds=PATIENCE_S):
    return wait_until(get, seconds, what, 0.02)


def lines(path):
    try:
        with open(path, errors="replace") as f:
            return [json.loads(x) for x in f if x.endswith("\n") and x.startswith("{")]
    except FileNotFoundError:
        return []


def outer_pid(inner, root):
    """Of a process below `root` (a Popen) that calls itself `inner` in its own PID namespace."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status") as f:
                status = dict(x.split(":\t", 1) for x in f.read().splitlines() if ":\t" in x)
        except OSError:
            continue
        if int(status.get("NSpid", "0").split()[-1]) == inner and is_below(int(name), root.pid):
            return int(name)
    return None


def is_below(pid, ancestor):
    while pid > 1 and pid != ancestor:
        try:
            with open(f"/proc/{pid}/stat") as f:
                pid = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return pid == ancestor


class Target:
    """`command` runs target.py SHAPE GO; root is where it sees its files, "" the machine's own."""

    def __init__(self, command, shape="script", root="", env=None, cwd=None):
        self.folder = tempfile.mkdtemp(prefix="dp-matrix-", dir=os.path.join(root, "tmp") if root else None)
        inside = self.folder[len(root):]
        shutil.copy(TARGET, self.folder)
        self.go = os.path.join(self.folder, "go")
        self.truth_path = os.path.join(self.folder, "truth")
        self.err_path = os.path.join(self.folder, "err")
        self.file = os.path.join(inside, "target.py")
        argv = [a.format(target=self.file, go=os.path.join(inside, "go"), folder=self.folder) for a in command]
        with open(self.truth_path, "wb") as out, open(self.err_path, "wb") as err:
            shaped = () if shape is None else (self.file, shape, os.path.join(inside, "go"))
            self.process = subprocess.Popen([*DEFAULT_SIGNALS, *argv, *shaped], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=env, cwd=cwd, start_new_session=True)

    def truth(self):
        return {x["what"]: x for x in lines(self.truth_path)}

    def ready(self):
        def look():
            if self.process.poll() is not None and "ready" not in self.truth():
                with open(self.err_path, errors="replace") as f:
                    raise AssertionError(f"the target ended with {self.process.returncode}: {f.read()[-400:]}")
            return self.truth().get("ready")

        told = wait_for(look, "target that is ready")
        self.pid = wait_for(lambda: outer_pid(told["pid"], self.process), "process of the target")
        return told

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def watch(target, wrap=(), args=()):
    """Runs the probe on the target until that has ended. Its lines; Refused with what it said instead."""
    out, err = (os.path.join(target.folder, x) for x in ("probe.json", "probe.err"))
    with open(out, "wb") as o, open(err, "wb") as e:
        probe = subprocess.Popen([*DEFAULT_SIGNALS, *wrap, PROBE, "--pid", str(target.pid), "--json", *args], stdin=subprocess.DEVNULL,
                                 stdout=o, stderr=e)

    def said():
        with open(err, errors="replace") as f:
            return f.read().strip().splitlines()

    def attached():
        if probe.poll() is not None:
            raise Refused(said()[-1] if said() else f"ended with {probe.returncode} and no sentence")
        return [x for x in lines(out) if x["event"] == "node"]

    try:
        node = wait_for(attached, "node line")[0]
        if not node["gil_observable"]:
            raise Refused(node["reason"])
        open(target.go, "w").close()
        probe.wait(PATIENCE_S)
    except subprocess.TimeoutExpired as e:
        raise AssertionError(f"the probe stayed: {target.truth().keys()} {said()[-3:]}") from e
    finally:
        end_process(probe)
    if probe.returncode != 0:
        raise AssertionError(f"the probe ended with {probe.returncode}: {said()[-3:]}")
    return lines(out)


def compare(target, said, slack_ns=0, gil=None, proven=True):
    """Every hold that the target tells of was found, named and told apart; with precision at most slack_ns wider."""
    told = target.truth()
    wrong, precisions = [], []
    for name, native in (("sleeps", True), ("computes", True), ("bytecode", False)):
        if name == "sleeps" and not told["ready"]["sleeps"]:
            continue
        if name + "_end" not in told:
            raise AssertionError(f"the target never ended {name}: {told.get('failed')}")
        begin, end = (told[name + x]["t"] for x in ("_begin", "_end"))
        held = [x for x in said if x["event"] == "gil_hold" and x["start_ns"] < end and x["end_ns"] > begin and
                x["duration_ns"] > min(1_000_000_000, (end - begin) / 2)]
        if len(held) != 1:
            wrong.append(f"{name}: {len(held)} holds of {(end - begin) / 1e6:.0f} ms, all: " + str([
                (x["function"], round(x["duration_ns"] / 1e6)) for x in said if x["event"] == "gil_hold"][:6]))
            continue
        h = held[0]
        if h["native"] is not native:
            wrong.append(f"{name}: native is {h['native']}")
        if h["function"] != name or h["file"] != target.file or (native and h["line"] != line_of(name)):
            wrong.append(f"{name}: named {h['function']} ({h['file']}:{h['line']})")
        if proven and h["precision"] not in ("exact", "bounded", "at_least"):
            wrong.append(f"{name}: {h['precision']}")
        # The begin is told before the last release, the end after the GIL was taken again.
        if h["start_ns"] < begin - slack_ns or h["end_ns"] > end + 500_000_000 + slack_ns or h["duration_ns"] < (
                end - begin) * 0.9 - slack_ns:
            wrong.append(f"{name}: {begin}..{end} said {h['start_ns']}..{h['end_ns']}")
        if gil is not None and h["gil"] != gil:
            wrong.append(f"{name}: GIL {h['gil']}")
        precisions.append(h["precision"])
    if wrong:
        raise AssertionError("; ".join(wrong))
    return ", ".join(dict.fromkeys(precisions))


def hold_and_look(command, shape="script", root="", env=None, cwd=None, wrap=(), args=(), slack_ns=0, gil=None, proven=True):
    target = Target(command, shape, root, env, cwd)
    try:
        told = target.ready()
        precision = compare(target, watch(target, wrap, args), slack_ns, gil, proven)
        return f"{told['version']}, {precision}"
    finally:
        target.end()
