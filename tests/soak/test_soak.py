#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What only shows in the long run: processes that come and go, dataflows that start and stop, scrapes, kills of targets and
of the probe. Memory, descriptors and kernel maps stay flat, nothing is lost, nothing is left behind.

How long, by the environment: SOAK_SECONDS (600), SOAK_CYCLES (10000), SOAK_KILLS (1000). Each test prints its figures.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from flow import Flow, env_of, free_port, receiver, sender, wait_until  # noqa: E402
from probe import Probe  # noqa: E402
from refusals import Wrong, python  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
CYCLES = int(os.environ.get("SOAK_CYCLES", "10000"))
KILLS = int(os.environ.get("SOAK_KILLS", "1000"))
PATIENCE = 60  # seconds: a machine that runs this beside other work is slow
KIB_GROWN = 4096  # of resident memory, between a fifth of the run and its end
CONFIG = ("node_id: churn\ndataflow_id: 018f0000-0000-7000-8000-00000000c0c0\n"
          "run_config: {inputs: {}, outputs: []}\n"
          "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:9\n")

# A Python that forks others, WIDTH at a time, each of which holds the GIL and ends; as many as it is told.
CHURN = """
import os, sys, time
left, alive = int(sys.argv[1]), 0
while left or alive:
    while left and alive < 8:
        if os.fork() == 0:
            end = time.monotonic() + 0.25
            while time.monotonic() < end:
                sum(range(20000))
                time.sleep(0.005)
            os._exit(0)
        left, alive = left - 1, alive + 1
    os.wait()
    alive -= 1
print("done", flush=True)
time.sleep(3600)
"""

# A node that nobody may signal: it counts what it gets, and says so when it is asked.
HEALTHY = """
import ctypes, signal, sys, threading
got = []
for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(s, lambda n, f: got.append(n))
f = ctypes.CDLL(None).pthread_cond_signal
print(ctypes.cast(f, ctypes.c_void_p).value, flush=True)
def busy():
    while True: sum(range(20000))
for _ in range(2): threading.Thread(target=busy, daemon=True).start()
for line in sys.stdin: print(len(got), flush=True)
"""


def figures(pid):
    """Resident KiB, open descriptors, entries of the hash maps that this probe has in the kernel."""
    with open(f"/proc/{pid}/status") as f:
        resident = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                ids |= {int(x.split()[1]) for x in f if x.startswith("map_id:")}
        except OSError:
            pass
    return resident, len(os.listdir(f"/proc/{pid}/fd")), entries(ids)


def entries(ids):
    tool = shutil.which("bpftool", path="/usr/sbin:/sbin:/usr/bin")
    count = 0
    for i in ids if tool else ():
        shown = json.loads(subprocess.run([tool, "-j", "map", "show", "id", str(i)],
                                          capture_output=True, text=True).stdout or "{}")
        if shown.get("type") == "hash":
            got = subprocess.run([tool, "-j", "map", "dump", "id", str(i)], capture_output=True,
                                 text=True).stdout
            count += len(json.loads(got or "[]"))
    return count


def lost(p):
    """What the run has lost, by reason: what passes without a trace in the findings is not counted."""
    out = {}
    for o in p.events("loss"):
        out[o["reason"]] = max(out.get(o["reason"], 0), o["total"])
    return out


def check_flat(name, early, late, unexplained):
    print(f"{name}: {early[0]} KiB, {early[1]} descriptors, {early[2]} map entries early; "
          f"{late[0]} KiB, {late[1]}, {late[2]} at the end; lost {unexplained or 'nothing'}")
    if late[0] - early[0] > KIB_GROWN:
        raise Wrong(f"{name}: memory grew by {late[0] - early[0]} KiB")
    if late[1] > early[1] + 4:
        raise Wrong(f"{name}: {early[1]} descriptors became {late[1]}")
    if late[2] > early[2] + 64:
        raise Wrong(f"{name}: {early[2]} map entries became {late[2]}")


def root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


def told(p):
    """Processes that the probe has taken up, by its lines."""
    return {o["pid"] for o in p.events("node")}


def test_attach_and_detach(folder):
    """Processes of a node that come and go: each is taken up and let go of, and nothing of it stays."""
    root()
    env = dict(os.environ, DORA_NODE_CONFIG=CONFIG)
    p = Probe(["--node", "churn", "--hold-threshold", "10s"], folder,
              record=False).start()
    p.wait("start", PATIENCE)
    churn = subprocess.Popen([sys.executable, "-c", CHURN, str(CYCLES)], env=env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    begin = time.monotonic()
    try:
        wait_until(lambda: len(told(p)) > CYCLES / 5 or churn.poll() is not None, 3600, "a fifth of the cycles", 1)
        early = figures(p.proc.pid)
        if churn.stdout.readline() != b"done\n":
            raise Wrong("the churning process has failed")
        took = time.monotonic() - begin
        time.sleep(2)
        late = figures(p.proc.pid)
        count = len(told(p)) - 1
    finally:
        churn.kill()
        churn.wait()
        p.end()
    print(f"{count} of {CYCLES} processes taken up and let go of, {CYCLES / took:.0f} a second")
    check_flat("attach and detach", early, late, lost(p))
    if count < 0.9 * CYCLES:
        raise Wrong(f"only {count} of {CYCLES} processes were taken up: {lost(p)}, {p.stderr()[-500:]!r}")


def code_at(pid, addr):
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.seek(addr)
        return f.read(8)


def readers_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(x) for x in f.read().split()]
    except FileNotFoundError:
        return []


def gone(pids):
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def kill_probe(folder, rng, t, n):
    """Kills the probe at some moment of its start: no process of it stays, the target's code is as it was."""
    p = Probe(["--pid", t.pid, "--exact", "--shutdown", "nudge"], folder, name=f"p{n % 4}").start()
    time.sleep(rng.uniform(0.02, 0.7))
    children = readers_of(p.proc.pid)
    p.end(signal.SIGKILL)
    wait_until(lambda: gone(children), 5, "end of its children")


def kill_target(folder, rng, n):
    """Kills the target at some moment of the attach: the probe ends by itself, with a code that says so."""
    with python(HEALTHY) as t:
        p = Probe(["--pid", t.pid, "--exact", "--shutdown", "nudge"], folder, name=f"t{n % 4}").start()
        time.sleep(rng.uniform(0.02, 0.7))
        t.proc.kill()
        code = p.end(None, PATIENCE)
    if code not in (0, 5):
        raise Wrong(f"target killed, run {n}: exit code {code}: {p.stderr()!r}")


def test_random_kills(folder):
    """The target or the probe is killed at random moments: no wrong signal, nothing left attached, no file left over."""
    root()
    rng = random.Random(int(os.environ.get("SOAK_SEED", "1")))
    with python(HEALTHY) as t:
        addr = int(t.said())
        before = code_at(t.pid, addr)
        for n in range(KILLS):
            if n % 2:
                kill_target(folder, rng, n)
                continue
            kill_probe(folder, rng, t, n)
            wait_until(lambda: code_at(t.pid, addr) == before, 2, "the target's own code")
            if t.proc.poll() is not None:
                raise Wrong(f"run {n}: the target has ended with {t.proc.returncode}")
        t.go()
        got = t.said()
    known = {f"{kind}{i}.{end}" for kind in "pt" for i in range(4) for end in ("rec", "err")} | {"probe.out"}
    left = set(os.listdir(folder)) - known
    print(f"{KILLS} kills: {got} signals at the watched process, {len(left)} files left over")
    if got != "0" or left:
        raise Wrong(f"{got} signals, files {left}")


class Scraper(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.url, self.count, self.longest, self.over = f"http://127.0.0.1:{port}/metrics", 0, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            begin = time.monotonic_ns()
            try:
                urllib.request.urlopen(self.url, timeout=10).read()
            except OSError:
                continue
            self.count += 1
            self.longest = max(self.longest, time.monotonic_ns() - begin)


def one_flow(folder, n):
    """A dataflow that runs for a few seconds and is stopped."""
    work = os.path.join(folder, f"flow{n}")
    os.mkdir(work)
    flow = Flow("0.5.0", [sender(period_ms=20), receiver()], work)
    try:
        flow.start()
        flow.go()
        time.sleep(4)
        flow.stop()
        flow.wait_gone(20)
        flow.procs["run"].wait(20)
    finally:
        flow.cleanup()
    shutil.rmtree(work, ignore_errors=True)


def test_soak(folder):
    """Dataflows that start and stop one after the other, with scrapes, for SOAK_SECONDS."""
    root()
    if not env_of("0.5.0"):
        pytest.skip("no dora 0.5.0 here: tests/setup/dora_env.sh 0.5.0")
    port = free_port()
    p = Probe(["--all", "--listen", f"127.0.0.1:{port}"], folder, record=False).start()
    p.wait("start", PATIENCE)
    scraper, begin, flows, early = Scraper(port), time.monotonic(), 0, None
    try:
        while time.monotonic() - begin < SECONDS:
            one_flow(folder, flows)
            flows += 1
            if not early and (time.monotonic() - begin > SECONDS / 5 or flows == 3):
                early = figures(p.proc.pid)
        time.sleep(2)
        late = figures(p.proc.pid)
    finally:
        scraper.over.set()
        p.end()
    print(f"{flows} dataflows, {scraper.count} scrapes, the longest {scraper.longest / 1e6:.1f} ms")
    check_flat("soak", early, late, lost(p))
    # What others on this machine start is watched too (--all): only what was lost counts.
    if p.code != 0 or scraper.count < SECONDS or lost(p).keys() - {"read_fault", "late_record", "signal_repeated"}:
        raise Wrong(f"exit code {p.code}, {scraper.count} scrapes, lost {lost(p)}")


if __name__ == "__main__":
    PYTEST = os.path.join(HERE, "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, "-s", *sys.argv[1:], os.path.abspath(__file__)])
