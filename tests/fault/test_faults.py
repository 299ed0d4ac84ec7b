#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What goes wrong around the probe: targets and the probe killed at any moment, the probe stopped, clocks set, disks and
memory full, process ids used anew, threads without number. Each is survived or said."""

import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from flow import wait_until  # noqa: E402
from probe import BINARY, Probe, run  # noqa: E402
from refusals import ARMABLE, IDLE, OK, TARGET, Wrong, code_of, python  # noqa: E402

MS = 1_000_000

# Holds of the GIL for 300 ms, five times in two seconds and a half; the line that begins them comes from the test.
HOLDS = ("import ctypes, time\nsleep = ctypes.PyDLL(None).usleep\ninput()\n"
         "while True:\n sleep(300000)\n time.sleep(0.2)\n")


def root(what):
    if os.geteuid() != 0:
        pytest.skip(f"{what} needs root")


def library(folder, name):
    out = os.path.join(folder, name + ".so")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", out, os.path.join(HERE, "targets", name + ".c"),
                    "-lpthread"], check=True)
    return out


def long_holds(p, pid):
    return [o for o in p.events("gil_hold", pid=pid) if o["duration_ns"] > 200 * MS]


def test_target_killed_while_attaching(folder):
    """The target is killed at some moment of the probe's start: it ends with 0, or with 5 and a sentence."""
    rng = random.Random(3)
    codes = []
    with python(IDLE) as t:
        begin = time.monotonic()
        p = Probe(["--pid", t.pid], folder, record=False).start()
        p.wait_attached([t.pid], 30)
        takes = time.monotonic() - begin
        p.end()
    for n in range(24):
        work = os.path.join(folder, str(n))
        os.mkdir(work)
        with python(IDLE) as t:
            p = Probe(["--pid", t.pid, "--exact", "--shutdown", "nudge"], work).start()
            time.sleep(rng.uniform(0, 1.5 * takes))
            t.proc.kill()
            code = p.end(None, 20)
        codes.append(code)
        if code not in (OK, TARGET) or (code == TARGET and not p.stderr().strip()):
            raise Wrong(f"run {n}: exit code {code}: {p.stderr()!r}")
        if code == OK and not p.events("summary"):
            raise Wrong(f"run {n}: ended with 0 and without a summary")
    print(f"{codes.count(OK)} times 0, {codes.count(TARGET)} times 5")


def test_probe_killed_while_armed(folder):
    """kill -9 while the uprobe is in the target: the kernel takes it out, no reader stays, the target goes on."""
    root("reading the target's code")
    with python(ARMABLE) as t:
        code = code_of(t)
        before = code()
        for n in range(4):
            p = Probe(["--pid", t.pid, "--exact"], folder, record=False, name=f"probe{n}").start()
            try:
                wait_until(lambda: code() != before, 10, "the uprobe in the target")
                with open(f"/proc/{p.proc.pid}/task/{p.proc.pid}/children") as f:
                    children = f.read().split()
            finally:
                p.end(signal.SIGKILL)
            wait_until(lambda: code() == before, 2, "the target's own code")
            wait_until(lambda c=children: not any(os.path.exists(f"/proc/{pid}") for pid in c), 2,
                       "end of the readers")
            if not children or t.proc.poll() is not None:
                raise Wrong(f"{len(children)} readers, target {t.proc.poll()}")


def test_probe_stopped_for_ten_seconds(folder):
    """SIGSTOP, ten seconds, SIGCONT: what was lost meanwhile is said, what comes afterwards is seen."""
    with python(HOLDS) as t:
        p = Probe(["--pid", t.pid], folder).start()
        try:
            p.wait_attached([t.pid])
            t.go()
            time.sleep(1)
            p.proc.send_signal(signal.SIGSTOP)
            stopped = time.monotonic_ns()
            time.sleep(10)
            p.proc.send_signal(signal.SIGCONT)
            went_on = time.monotonic_ns()
            time.sleep(3)
            code = p.end()
        finally:
            p.end(signal.SIGKILL)
    holds = long_holds(p, t.pid)
    during = [o for o in holds if stopped < o["start_ns"] < went_on - 500 * MS]
    after = [o for o in holds if o["start_ns"] > went_on + 200 * MS]
    lost = {o["reason"]: o["total"] for o in p.events("loss")}
    print(f"{len(during)} of about 20 holds in the ten seconds, {len(after)} after them; lost {lost}")
    if code != OK or len(after) < 3:
        raise Wrong(f"exit code {code}, {len(after)} holds afterwards: {p.stderr()!r}")
    if len(during) < 18 and not lost:
        raise Wrong(f"{len(during)} holds of 20 seen in the ten seconds, and no loss was said")
    replayed = p.replay("--json")
    if replayed.returncode != OK or replayed.stdout != p.output():
        raise Wrong("a replay says something else")


def test_clock_step(folder):
    """The wall clock is set forward by an hour: the lines' `time` follows, `t_ns` does not, and replay says the same."""
    step = os.path.join(folder, "step")
    with python(HOLDS) as t:
        p = Probe(["--pid", t.pid, "--duration", "5s"], folder,
                  wrap=["env", f"LD_PRELOAD={library(folder, 'clock')}", f"STEP_FILE={step}"]).start()
        try:
            p.wait_attached([t.pid])
            t.go()
            time.sleep(1.5)
            with open(step, "w"):
                pass
            code = p.end(None, 15)
        finally:
            p.end(signal.SIGKILL)
    offsets = []
    for o in p.events():
        if o["time"]:
            at = datetime.datetime.fromisoformat(o["time"].replace("Z", "+00:00")).timestamp()
            offsets.append(at - o["t_ns"] / 1e9)
    if code != OK or not offsets:
        raise Wrong(f"exit code {code}, {len(offsets)} lines: {p.stderr()!r}")
    if not 3599 < max(offsets) - min(offsets) < 3601 or offsets[0] > min(offsets) + 1:
        raise Wrong(f"the lines' times moved by {max(offsets) - min(offsets):.3f} s")
    if len(long_holds(p, t.pid)) < 4 or [o for o in long_holds(p, t.pid) if o["duration_ns"] > 1000 * MS]:
        raise Wrong("holds were lost or became longer")
    if p.replay("--json").stdout != p.output():
        raise Wrong("a replay says something else")


def test_disk_full(folder):
    """No room for the recording: said once, counted, and the watch goes on."""
    root("mounting")
    small = os.path.join(folder, "small")
    os.mkdir(small)
    wrap = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', small]
    with python(HOLDS) as t:
        p = Probe(["--pid", t.pid, "--duration", "6s", "--record", os.path.join(small, "x.rec")], folder,
                  record=False, wrap=wrap).start()
        try:
            p.wait_attached([t.pid])
            t.go()
            code = p.end(None, 15)
        finally:
            p.end(signal.SIGKILL)
    said = p.stderr().count("the recording ends here")
    lost = [o for o in p.events("loss") if o["reason"] == "recorder_write"]
    holds = long_holds(p, t.pid)
    if said != 1 or not lost or "space" not in p.stderr():
        raise Wrong(f"said {said} times, {len(lost)} losses: {p.stderr()!r}")
    if code != OK or len(holds) < 8:
        raise Wrong(f"exit code {code}, {len(holds)} holds")


def limited(folder, mib):
    """Start of a command in a control group with this much memory."""
    root("a control group")
    name = f"dora-probe-test-{os.getpid()}"
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = os.path.join(top, name)
        if not os.path.exists(os.path.join(top, "cgroup.procs")):
            continue
        try:
            os.mkdir(group)
            with open(os.path.join(group, limit), "w") as f:
                f.write(str(mib << 20))
            return group, ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh"]
        except OSError:
            os.rmdir(group)
    pytest.skip("no control group for memory can be made here")


def test_little_memory(folder):
    """A control group of 32 MiB: it works, or says that it does not; nothing ends it without a word."""
    group, wrap = limited(folder, 32)
    try:
        with python(HOLDS) as t:
            p = Probe(["--pid", t.pid, "--duration", "5s"], folder, wrap=wrap).start()
            try:
                wait_until(lambda: p.events("node") or p.proc.poll() is not None, 15, "a node line or its end")
                t.go()
                code = p.end(None, 20)
            finally:
                p.end(signal.SIGKILL)
        holds = long_holds(p, t.pid)
        print(f"exit code {code}, {len(holds)} holds, {p.stderr().strip()!r}")
        if code == OK and len(holds) < 6:
            raise Wrong(f"ended with 0 and saw {len(holds)} holds")
        if code != OK and (code < 0 or not p.stderr().strip()):
            raise Wrong(f"ended with {code}: {p.stderr()!r}")
    finally:
        wait_until(lambda: not open(os.path.join(group, "cgroup.procs")).read(), 5, "empty control group")
        os.rmdir(group)


def test_threads_without_number(folder):
    """10,000 threads a second begin and end in the target: its holds are found all the same, memory stays flat."""
    code = ("import ctypes, threading, time\n"
            f"lib = ctypes.CDLL({library(folder, 'churn')!r})\nlib.churn.restype = ctypes.c_long\n"
            "sleep = ctypes.PyDLL(None).usleep\ninput()\n"
            "threading.Thread(target=lambda: print(lib.churn(10000, 5), flush=True)).start()\n"
            "for _ in range(8):\n sleep(300000)\n time.sleep(0.3)\n"
            "time.sleep(600)\n")
    with python(code) as t:
        p = Probe(["--pid", t.pid], folder, record=False).start()
        try:
            p.wait_attached([t.pid])
            t.go()
            time.sleep(1)
            with open(f"/proc/{p.proc.pid}/status") as f:
                early = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
            threads = int(t.said())
            with open(f"/proc/{p.proc.pid}/status") as f:
                late = next(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
            code = p.end()
        finally:
            p.end(signal.SIGKILL)
    lost = {o["reason"]: o["total"] for o in p.events("loss")}
    holds = long_holds(p, t.pid)
    print(f"{threads / 5:.0f} threads a second, {len(holds)} of 8 holds, {early} then {late} KiB, lost {lost}")
    if code != OK or (len(holds) < 8 and not lost) or len(holds) < 5:
        raise Wrong(f"exit code {code}, {len(holds)} holds of 8, lost {lost}")
    if late > early + 4096:
        raise Wrong(f"memory grew from {early} to {late} KiB")


CONFIG = ("node_id: {node}\ndataflow_id: 018f0000-0000-7000-8000-000000000000\n"
          "run_config: {{inputs: {{}}, outputs: []}}\n"
          "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:9\n")


def at_pid(pid, code, node):
    """A Python with this very process id; None where somebody else was faster."""
    env = dict(os.environ, DORA_NODE_CONFIG=CONFIG.format(node=node))
    with open("/proc/sys/kernel/ns_last_pid", "w") as f:
        f.write(str(pid - 1))
    t = python(code, env=env)
    if t.pid == pid:
        return t
    t.__exit__()
    return None


def test_process_id_used_anew(folder):
    """A process of another node gets the id of one that was watched: told as itself, and nothing of it is laid to the first."""
    root("choosing a process id")
    with open("/proc/sys/kernel/pid_max") as f:
        pid = int(f.read()) // 2 + os.getpid() % 1000
    while os.path.exists(f"/proc/{pid}"):
        pid += 1
    p = Probe(["--all"], folder).start()
    try:
        p.wait("start", 10)
        first = wait_until(lambda: at_pid(pid, IDLE, "first"), 20, "a process with a chosen id")
        p.wait("node", 10, pid=pid, node="first")
        first.__exit__()
        second = wait_until(lambda: at_pid(pid, HOLDS, "second"), 20, "the same id again")
        with second:
            p.wait("node", 10, pid=pid, node="second")
            second.go()
            time.sleep(2)
        p.wait("exit", 10, pid=pid, node="second")
        code = p.end()
    finally:
        p.end(signal.SIGKILL)
    exits = [o["node"] for o in p.events("exit", pid=pid)]
    holds = {o["node"] for o in long_holds(p, pid)}
    rows = {n["node"]: n for n in p.events("summary")[0]["nodes"] if n["pid"] == pid}
    if code != OK or exits != ["first", "second"] or holds != {"second"}:
        raise Wrong(f"exit code {code}, exits of {exits}, holds of {holds}")
    if rows.keys() != {"first", "second"} or rows["first"]["holds"] >= rows["second"]["holds"] + 1 or \
            (rows["first"]["max_hold_ns"] or 0) > 200 * MS:
        raise Wrong(f"summary: {json.dumps(rows)}")


def test_broken_off_report(folder):
    """A report that is broken off leaves no file behind."""
    with python(HOLDS) as t:
        p = Probe(["--pid", t.pid, "--duration", "2s"], folder).start()
        p.wait_attached([t.pid])
        t.go()
        p.end(None, 10)
    out = os.path.join(folder, "out")
    os.mkdir(out)
    report = ("report", p.recording, "-o", os.path.join(out, "x.html"))
    # However fast the machine is, the signals spread over all of a report's time.
    begin = time.monotonic()
    run(*report)
    takes = time.monotonic() - begin
    for n in range(100):
        r = subprocess.Popen([BINARY, *report])
        time.sleep(takes * n / 80)
        r.send_signal(signal.SIGTERM)
        r.wait(10)
    left = set(os.listdir(out)) - {"x.html"}
    if left:
        raise Wrong(f"left over: {left}")
    if run(*report).returncode != OK:
        raise Wrong("the report could not be made")


if __name__ == "__main__":
    PYTEST = os.path.join(HERE, "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
