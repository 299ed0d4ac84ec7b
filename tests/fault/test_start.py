#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A start under bad conditions: each has its exit code, a sentence, and harms nothing of the user's."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from flow import wait_until  # noqa: E402
from probe import BINARY, Probe, run  # noqa: E402
from refusals import IDLE, OK, Wrong, python  # noqa: E402

HOLDS = ("import ctypes, time\ninput()\n"
         "while True:\n ctypes.PyDLL(None).usleep(200000)\n time.sleep(0.1)\n")


def test_closed_streams(folder):
    """Standard streams that are closed at the start: nothing that was meant for them is in the recording."""
    path = os.path.join(folder, "probe.rec")
    with python(IDLE) as t:
        got = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BINARY, "--pid", str(t.pid),
                              "--duration", "1s", "--record", path], timeout=20)
    if got.returncode != OK:
        raise Wrong(f"exit code {got.returncode}")
    with open(path, "rb") as f:
        data = f.read()
    if data[:7] != b"dorarec" or b"Summary" in data or b"dora-probe 0" in data:
        raise Wrong("text lies in the recording")
    replay = run("replay", path, "--json")
    if replay.returncode != OK or "summary" not in replay.stdout:
        raise Wrong(f"exit code {replay.returncode}: {replay.stderr!r}")


def test_standard_error_that_nobody_reads(folder):
    """A pipe on standard error that is full holds nothing up."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    try:
        while True:
            os.write(w, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(w, True)
    try:
        with python(HOLDS) as t:
            begin = time.monotonic()
            p = subprocess.Popen([BINARY, "--pid", f"{t.pid},4194301", "--json", "--duration", "3s"],
                                 stdout=subprocess.PIPE, stderr=w)
            t.go()
            out = p.communicate(timeout=15)[0]
            took = time.monotonic() - begin
    finally:
        os.close(r)
        os.close(w)
    holds = [o for o in map(json.loads, out.splitlines()) if o["event"] == "gil_hold"]
    if p.returncode != OK or len(holds) < 5 or took > 8:
        raise Wrong(f"exit code {p.returncode}, {len(holds)} holds, {took:.1f} s")


def test_signal_at_the_start(folder):
    """SIGTERM, SIGINT or SIGHUP in the first half second ends it in order: 0, and no file is left over."""
    rng = random.Random(5)
    with python(IDLE) as t:
        for n in range(12):
            sig = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[n % 3]
            work = os.path.join(folder, str(n))
            os.mkdir(work)
            p = Probe(["--pid", t.pid, "--exact"], work).start()
            # As soon as it is the program, and not what starts it.
            comm = f"/proc/{p.proc.pid}/comm"
            wait_until(lambda c=comm: open(c).read() == "dora-probe\n", 5, "start")
            time.sleep(rng.uniform(0.05, 0.5))
            code = p.end(sig, 10)
            if code != OK:
                raise Wrong(f"{sig.name}: exit code {code}: {p.stderr()!r}")
            if sorted(os.listdir(work)) not in (["probe.err", "probe.out", "probe.rec"],
                                                ["probe.err", "probe.out"]):
                raise Wrong(f"{sig.name}: left over: {os.listdir(work)}")


def test_few_descriptors():
    """A limit of descriptors that is too low: a sentence that says so, whatever the limit is."""
    with python(IDLE) as t:
        for limit in (4, 8, 12, 20, 40):
            p = subprocess.run(
                [BINARY, "--pid", str(t.pid), "--json", "--duration", "300ms"], capture_output=True,
                text=True, timeout=20,
                preexec_fn=lambda n=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
            if p.returncode != OK and not p.stderr.strip():
                raise Wrong(f"{limit} descriptors: exit code {p.returncode} without a word")
            if p.returncode < 0:
                raise Wrong(f"{limit} descriptors: ended by signal {-p.returncode}")


def test_many_mappings(folder):
    """A Python with thousands of executable mappings is one."""
    code = ("import mmap\n"
            "keep = []\n"
            "for i in range(3000):\n"
            " keep.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC | (i % 2) * 2))\n"
            "print(len(keep), flush=True)\n" + IDLE)
    with python(code) as t:
        t.said()
        got = run("--pid", t.pid, "--json", "--duration", "500ms")
        node = [o for o in map(json.loads, got.stdout.splitlines()) if o["event"] == "node"]
        if got.returncode != OK or not node or not node[0]["gil_observable"]:
            raise Wrong(f"exit code {got.returncode}: {got.stderr!r}, {node}")


if __name__ == "__main__":
    PYTEST = os.path.join(HERE, "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
