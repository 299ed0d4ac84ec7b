#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes the golden recordings anew, from real dora dataflows watched by the built dora-probe.

  take.py [--only NAME]... [--lock FILE] [--force]

Each recording becomes a folder beside this file: recording.rec.xz, how.json (how it was made, and
which replays are kept) and one file per replay. One that is there is left alone without --force.
A run whose output does not show what the recording is for is taken again, up to four times.

Everything that a stack may name (nodes, Python, dora) lies below /opt/robot, and Python is the
system's: so no recording tells a path of the machine that it was taken on.
"""

import argparse
import contextlib
import fcntl
import glob
import importlib
import json
import lzma
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
sys.path.insert(0, HERE)

import flow as flow_module  # noqa: E402
import golden  # noqa: E402
from flow import Flow, FlowError, receiver, sender  # noqa: E402
from probe import Probe, ProbeEnded  # noqa: E402
from scenarios import REGISTRY  # noqa: E402

for path in sorted(glob.glob(os.path.join(HERE, "scenarios_*.py"))):
    importlib.import_module(os.path.basename(path)[:-3])  # registers its runs

ROOT = "/opt/robot"
HOME = os.path.expanduser("~")
PYTHON = "/usr/bin/python3"


class Miss(Exception):
    """The run did not show what the recording is for."""


class Take:
    """One run: its dataflows and its one probe. What a scenario (scenarios_*.py) works with."""

    def __init__(self, name, version):
        self.name, self.version = name, version
        os.makedirs(os.path.join(ROOT, "run"), exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix=name + "-", dir=os.path.join(ROOT, "run"))
        self.flows, self.args, self.the_probe, self.others = [], [], None, []

    def flow(self, *nodes, period_ms=100, wait=True, **kw):
        """A dataflow that has started; without nodes one sender and one receiver."""
        sub = os.path.join(self.dir, f"flow{len(self.flows)}")
        os.mkdir(sub)
        f = Flow(self.version, list(nodes) or [sender(period_ms=period_ms), receiver()], sub, **kw)
        self.flows.append(f)
        return f.start(wait)

    def probe(self, *args, pids=None, wait=True, target=None):
        """The probe that records, attached to the nodes of all dataflows (or to `target`)."""
        if pids is None:
            pids = [p for f in self.flows for p in f.pids().values()]
        self.args = list(map(str, args))
        target = target or ["--pid", ",".join(map(str, pids))]
        self.the_probe = Probe([*target, *args], self.dir, name="probe").start()
        if wait:
            self.the_probe.wait_attached(pids)
        return self.the_probe

    def finish(self, stop=True, timeout=20, sig=None):
        """Stops the dataflows, waits for their end, and for the probe's (or ends it by `sig`)."""
        for f in self.flows:
            if stop and not f.stop_ns:
                f.stop()
        for f in self.flows:
            f.wait_gone(timeout)
        self.the_probe.end(sig, 10)

    def end_probe(self):
        self.the_probe.end(signal.SIGINT, 10)

    def cleanup(self):
        if self.the_probe and self.the_probe.proc and self.the_probe.proc.poll() is None:
            self.the_probe.end(signal.SIGKILL)
        for p in self.others:
            if p.poll() is None:
                p.kill()
            p.wait()
        for f in self.flows:
            f.cleanup()
        shutil.rmtree(self.dir, ignore_errors=True)


def robot(version):
    """Nodes and a Python environment with this dora below /opt/robot."""
    nodes = os.path.join(ROOT, "nodes")
    os.makedirs(nodes, exist_ok=True)
    for folder in (os.path.join(TOP, "tests", "e2e", "nodes"), os.path.join(HERE, "nodes")):
        for f in os.listdir(folder):
            if f.endswith((".py", ".c")):
                shutil.copy(os.path.join(folder, f), nodes)
    env = os.path.join(ROOT, "env", version)
    if not os.path.exists(os.path.join(env, ".complete")):
        shutil.rmtree(env, ignore_errors=True)
        subprocess.run([PYTHON, "-m", "venv", env], check=True)
        subprocess.run([os.path.join(env, "bin", "pip"), "install", "-q",
                        "--disable-pip-version-check", f"dora-rs=={version}",
                        f"dora-rs-cli=={version}", "pyarrow"], check=True)
        with open(os.path.join(env, ".complete"), "w") as f:
            f.write(env)
    return env


@contextlib.contextmanager
def locked(path):
    if not path:
        yield
        return
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def anonymous(data):
    """No path or name of this machine may stand in a recording."""
    for bad in (platform.node(), TOP, HOME, "/root", "/home/"):
        if len(bad) > 3 and bad.encode() in data:
            raise Miss(f"the recording holds {bad!r}")


def keep(name, s, t):
    """Writes the folder of a recording: the bytes, how they came about, what replay gives."""
    folder = os.path.join(HERE, name)
    with open(t.the_probe.recording, "rb") as f:
        data = f.read()
    anonymous(data)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    with open(os.path.join(folder, "recording.rec.xz"), "wb") as f:
        f.write(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    python = subprocess.run([PYTHON, "--version"], capture_output=True, text=True).stdout.split()[1]
    how = {"what": s.what, "scenario": f"{s.run.__module__}.py: {name}", "dora": s.dora, "python": python,
           "kernel": platform.release(), "probe": golden.version(), "options": t.args,
           "shows": s.shows, "replays": []}
    for args in [["--json"], *s.replays]:
        how["replays"].append(golden.new_replay(folder, args, len(how["replays"])))
    with open(os.path.join(folder, "how.json"), "w") as f:
        json.dump(how, f, indent=1)
        f.write("\n")
    return len(data)


def take(name, s, lock):
    env = robot(s.dora)
    flow_module.env_of = lambda version: os.path.join(ROOT, "env", version)
    flow_module.NODES = os.path.join(ROOT, "nodes")
    assert os.path.isdir(env)
    why = ""
    for attempt in range(4):
        t = Take(name, s.dora)
        os.environ["HOME"] = t.dir  # dora 1.x keeps a database there
        try:
            with locked(lock):
                s.run(t)
            lines = [x.obj for x in t.the_probe.all()]
            replayed = t.the_probe.replay("--json").stdout
            if replayed != t.the_probe.output():
                raise Miss("replay differs from the live run:\n" +
                           golden.difference(t.the_probe.output(), replayed))
            missing = golden.not_shown(s.shows, lines)
            for args in s.replays:
                if args[0] == "--json" and s.also:
                    got = t.the_probe.replay(*args).stdout.decode().splitlines()
                    missing += golden.not_shown(s.also, [json.loads(x) for x in got])
            if missing:
                acts = [(o["action"], o["result"], o["reason"]) for o in lines
                        if o["event"] == "action"]
                exits = [(o["node"], o["code"], o["signal"], o["grace_kill"]) for o in lines
                         if o["event"] == "exit"]
                causes = sorted({str(o.get("cause")) for o in lines
                                 if o["event"] in ("token", "exit", "warning")})
                raise Miss(f"not shown: {missing}; actions {acts}; causes {causes}; "
                           f"exits {exits}; "
                           f"{t.the_probe.stderr()[-300:]}")
            size = keep(name, s, t)
            xz = os.path.getsize(os.path.join(HERE, name, "recording.rec.xz"))
            print(f"{name}: {size // 1024} KB, {xz // 1024} KB packed, {len(lines)} lines",
                  flush=True)
            return True
        except (Miss, FlowError, ProbeEnded) as e:
            why = str(e)
            print(f"{name}: attempt {attempt + 1}: {why}", flush=True)
        finally:
            t.cleanup()
    print(f"{name}: NOT TAKEN: {why}", flush=True)
    return False


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--only", action="append", metavar="NAME")
    p.add_argument("--force", action="store_true", help="also those that are there")
    p.add_argument("--lock", metavar="FILE", help="hold a flock on this file during each run")
    a = p.parse_args()
    if a.only and [n for n in a.only if n not in REGISTRY]:
        print("no such recording; there are: " + " ".join(REGISTRY), file=sys.stderr)
        return 2
    failed = 0
    for name, s in REGISTRY.items():
        if a.only and name not in a.only:
            continue
        if not a.force and os.path.exists(os.path.join(HERE, name, "how.json")):
            continue
        failed += not take(name, s, a.lock)
        time.sleep(0.1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
