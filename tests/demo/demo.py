#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo: a real dora dataflow with a stuck node, watched by dora-probe.

    1  a hold of some seconds: the warning, the line to blame, the pending tokens and their end
    2  the dataflow is stopped while the node is stuck: it misses its grace period and is killed
    3  the same with --shutdown nudge --save-tokens: it leaves in time
and a comparison of 2 and 3, from dora-probe's own recordings.

Lines that begin with >>> are the demo's; everything else is dora-probe's output as it came.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import flow as dataflow  # noqa: E402
from flow import DEFAULT_SIGNALS, FlowError, now, wait_until  # noqa: E402
from probe import BINARY  # noqa: E402

VERSION = os.environ.get("DORA", "0.5.0")
PERIOD_MS = 50
bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")


def tell(text):
    print(f"{bold[0]}>>> {text}{bold[1]}", flush=True)


class DemoFlow(dataflow.Flow):
    """camera -> detector; ready when both have said so in dora's log."""

    def __init__(self, workdir, stuck):
        camera = dataflow.sender("camera", PERIOD_MS, os.path.join(HERE, "camera.py"))
        camera["outputs"] = ["image"]
        detector = dataflow.receiver("detector", script=os.path.join(HERE, "detector.py"), env={
            "DEMO_STUCK": str(stuck), "DEMO_GO": os.path.join(workdir, "go")})
        detector["inputs"] = {"image": {"source": "camera/image", "queue_size": 10}}
        super().__init__(VERSION, [camera, detector], workdir)
        self.found = {}

    def log(self):
        with open(os.path.join(self.dir, "run.log"), errors="replace") as f:
            return re.sub(r"\x1b\[[0-9;]*m", "", f.read())

    def pid(self, node):
        """The nodes of the demo write no truth: `dora run` says their pids."""
        if node not in self.found:
            m = re.search(rf"{node}: spawner\s+spawned node with pid (\d+)", self.log())
            if m:
                self.found[node] = int(m.group(1))
        return self.found.get(node)

    def wait_ready(self, timeout=40):
        wait_until(lambda: "camera ready" in self.log() and "detector ready" in self.log(),
                   timeout, "ready dataflow")
        for pid in self.pids().values():
            self.known[pid] = dataflow.start_time(pid)


class Run:
    def __init__(self, top, name, stuck, *options):
        self.dir = os.path.join(top, name)
        os.mkdir(self.dir)
        self.flow = DemoFlow(self.dir, stuck)
        self.recording = os.path.join(self.dir, "recording")
        self.options = options
        self.probe = None

    def begin(self):
        tell(f"starting a dora {VERSION} dataflow: camera (1 MB images, 20 Hz) -> detector")
        self.flow.start()
        pids = self.flow.pids()
        args = ["--pid", ",".join(map(str, pids.values())), *self.options]
        tell(f"dora-probe {' '.join(args)}")
        self.probe = subprocess.Popen([*DEFAULT_SIGNALS, BINARY, *args, "--record",
                                       self.recording], stdin=subprocess.DEVNULL,
                                      start_new_session=True)
        time.sleep(1.5)
        if self.probe.poll() is not None:
            raise FlowError(f"dora-probe ended with {self.probe.returncode}")

    def go(self, seconds):
        line = next(n for n, text in enumerate(open(os.path.join(HERE, "detector.py")), 1)
                    if "driver.usleep" in text)
        tell(f"now detector.py:{line} calls C code that keeps the GIL for {seconds:g} s")
        self.flow.go()

    def stop(self):
        self.flow.stop()

    def finish(self):
        try:
            if self.probe and self.probe.poll() is None:
                try:
                    self.probe.wait(10)
                except subprocess.TimeoutExpired:
                    self.probe.send_signal(signal.SIGINT)
                    self.probe.wait(10)
        finally:
            if self.probe and self.probe.poll() is None:
                self.probe.kill()
            self.flow.cleanup()

    def facts(self):
        """The detector's exit line and the warnings, by replaying the recording."""
        got = subprocess.run([BINARY, "replay", self.recording, "--json"], capture_output=True,
                             check=True)
        lines = [json.loads(x) for x in got.stdout.splitlines()]
        pid = self.flow.pid("detector")
        return lines, next((o for o in lines if o["event"] == "exit" and o["pid"] == pid), None)


def ask(lines, event, check):
    return [o for o in lines if o["event"] == event and check(o)]


def hold(top):
    tell("1. A node that keeps the GIL")
    # Eighty tokens wait for this hold: those that waited longest stand for all of them.
    run = Run(top, "hold", 4, "--token-threshold", "3700ms")
    try:
        run.begin()
        run.go(4)
        time.sleep(6.5)
        tell("stopping the dataflow")
        run.stop()
        run.flow.wait_gone(20)
    finally:
        run.finish()
    lines, end = run.facts()
    warned = ask(lines, "warning", lambda o: o["kind"] == "gil_hold" and not o["resolved"] and
                 o["function"] == "wait_for_device")
    return bool(warned) and end is not None


def stuck(top, name, *options):
    run = Run(top, name, 40, "-q", *options)
    try:
        run.begin()
        run.go(40)
        time.sleep(2.5)
        tell("Ctrl-C to `dora run`: the dataflow has 10 s to stop")
        run.stop()
        gone = run.flow.wait_gone(25)
        took = (gone - run.flow.stop_ns) / 1e9
        run.flow.procs["run"].wait(10)
    finally:
        run.finish()
    lines, end = run.facts()
    return run, took, lines, end


def say(o):
    if o is None:
        return "nothing"
    if o["signal"]:
        return f"signal {o['signal']}" + (" at the end of the grace period" if o["grace_kill"]
                                          else "")
    return f"code {o['code']}"


def compare(without, with_):
    rows = [("", "without the guard", "with the guard")]

    def row(name, f):
        rows.append((name, f(*without), f(*with_)))

    row("detector gone after Stop", lambda run, took, lines, end:
        f"{end['since_stop_ns'] / 1e9:.1f} s" if end and end["since_stop_ns"] else f"{took:.1f} s")
    row("how it ended", lambda run, took, lines, end: say(end))
    row("killed by the daemon", lambda run, took, lines, end: "yes" if end["grace_kill"] else "no")
    row("tokens given up", lambda run, took, lines, end: str(end["tokens_abandoned"]))
    row("GIL's share of Stop to exit", lambda run, took, lines, end:
        "unknown" if end["gil_share"] is None else f"{100 * end['gil_share']:.0f} %")
    row("signals sent by dora-probe", lambda run, took, lines, end: str(len(ask(
        lines, "action", lambda o: o["result"] == "sent"))))
    row("exit code of `dora run`", lambda run, took, lines, end:
        str(run.flow.procs["run"].returncode))
    print()
    for r in rows:
        print("    {:30} {:42} {}".format(*r))
    print(flush=True)


def main():
    top = tempfile.mkdtemp(prefix="dora-probe-demo-")
    begin = now()
    try:
        ok = hold(top)
        print()
        tell("2. Stopped while stuck, nobody helps")
        without = stuck(top, "without")
        print()
        tell("3. The same with --shutdown nudge --save-tokens")
        with_ = stuck(top, "with", "--shutdown", "nudge", "--save-tokens")
        compare(without, with_)
        ok = ok and without[3]["grace_kill"] and not with_[3]["grace_kill"] and with_[3]["saved"]
        tell(f"demo over after {(now() - begin) / 1e9:.0f} s" +
             ("" if ok else "; it did not show what it should"))
        return 0 if ok else 1
    except (FlowError, subprocess.CalledProcessError) as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
