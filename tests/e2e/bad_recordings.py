# SPDX-License-Identifier: MIT
"""Recordings that are none, damaged, or cut short by a kill."""

import json
import os
import random
import time

from flow import wait_until
from probe import Probe, run
from refusals import ARMABLE, INTERNAL, OK, TARGET, USAGE, Wrong, code_of, python, refuse


def test_replay_of_nothing(folder):
    refuse(run("replay", os.path.join(folder, "nothing")), (INTERNAL, USAGE, TARGET), "nothing")


def test_replay_of_garbage(folder):
    path = os.path.join(folder, "garbage")
    for data in (b"", b"x", os.urandom(1), os.urandom(4096), b"\0" * 4096):
        with open(path, "wb") as f:
            f.write(data)
        refuse(run("replay", path), (INTERNAL, USAGE), "garbage", "recording")


def test_replay_of_directory(folder):
    refuse(run("replay", folder), (INTERNAL, USAGE))


def test_replay_of_damaged(folder):
    """A cut or damaged recording: what can be read is shown, the rest is said, nothing crashes."""
    with python("import ctypes, time\ninput()\nctypes.PyDLL(None).usleep(300000)\n"
                "time.sleep(0.3)\n") as t:
        p = Probe(["--pid", t.pid], folder).start()
        p.wait_attached([t.pid])
        t.go()
        p.end(None, 10)
    with open(p.recording, "rb") as f:
        data = f.read()
    rng = random.Random(11)
    path = os.path.join(folder, "damaged")
    for n in range(40):
        bad = bytearray(data)
        if n % 2:
            bad = bad[:rng.randrange(len(bad))]
        else:
            for _ in range(rng.choice((1, 3, 30))):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        with open(path, "wb") as f:
            f.write(bad)
        got = run("replay", path, "--json", timeout=20)
        if got.returncode not in (OK, INTERNAL, USAGE):
            raise Wrong(f"damage {n}: exit code {got.returncode}: {got.stderr[-300:]!r}")
        if got.returncode and not got.stderr.strip():
            raise Wrong(f"damage {n}: exit code {got.returncode} without a word")
        for x in got.stdout.splitlines():
            json.loads(x)


def test_no_trace_left(folder):
    """Whenever the probe ends, also in mid-arming, the target's code is as it was."""
    with python(ARMABLE) as t:
        code = code_of(t)
        before = code()
        armed = 0
        for n in range(12):
            p = Probe(["--pid", t.pid, "--exact"], folder, record=False, name=f"probe{n}").start()
            if n % 4 == 0:
                wait_until(lambda: code() != before, 10, "the edge source")
            else:
                p.wait("node", 10)
                time.sleep(n % 4 * 0.01)
            armed += code() != before
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
            if code() != before:
                raise Wrong(f"run {n}: {before.hex()} before, {code().hex()} after")
        if armed < 3:
            raise Wrong(f"armed in {armed} runs only")


def test_replay_after_kill(folder):
    """A probe that is killed leaves all but the last second or so in its recording."""
    with python("import ctypes, time\ninput()\nctypes.PyDLL(None).usleep(300000)\n"
                "time.sleep(60)\n") as t:
        p = Probe(["--pid", t.pid], folder).start()
        p.wait_attached([t.pid])
        t.go()
        hold = p.wait("gil_hold", 10)[0]
        time.sleep(2.5)
        p.proc.kill()
        p.end(None, 10)
    got = run("replay", p.recording, "--json")
    holds = [x for x in map(json.loads, got.stdout.splitlines()) if x["event"] == "gil_hold"]
    if [x["start_ns"] for x in holds] != [hold["start_ns"]]:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}, holds {holds}, live {hold}")
