# SPDX-License-Identifier: MIT
"""What can watch a dataflow: the probe in its ways, and what a user would take instead. Started and ended in rounds."""

import os
import shutil
import subprocess
import time

from figures import TOP
from flow import end_process
from probe import Probe

S = 1_000_000_000
VENV = os.path.join(TOP, "build", "bench", "venv", "bin")

# The same facts of both nodes as far as a script can have them: bytes by length, futex calls, regions.
SCRIPT = """
tracepoint:syscalls:sys_enter_futex /%s/ { @futex[tid, args->op & 127] = count(); }
tracepoint:syscalls:sys_enter_sendto /%s/ { @sent[pid, args->fd] = sum(args->len); }
tracepoint:syscalls:sys_exit_recvfrom /(%s) && args->ret > 0/ { @got[pid] = sum(args->ret); }
tracepoint:syscalls:sys_enter_openat /%s/ { @opened[pid] = count(); }
tracepoint:syscalls:sys_enter_mmap /%s/ { @mapped[pid] = count(); }
tracepoint:syscalls:sys_enter_munmap /%s/ { @unmapped[pid] = count(); }
"""


def found(name):
    """The program's path: one that is installed, or what tests/setup put into the bench's environment."""
    own = os.path.join(VENV, name)
    return own if os.access(own, os.X_OK) else shutil.which(name)


def cpu_ns(pid):
    """CPU time of a process and of the children that it has now, by the scheduler's own account."""
    total = 0
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                total += int(f.read().split()[0])
            with open(f"/proc/{pid}/task/{tid}/children") as f:
                total += sum(cpu_ns(int(c)) for c in f.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total


class Tool:
    """Something that watches processes, started and ended."""

    def __init__(self, b, pids):
        self.b, self.pids, self.procs, self.probe = b, pids, [], None

    def start_probe(self, *args, way="auto", targets=None):
        wanted = targets or ["--pid", ",".join(map(str, self.pids))]
        self.probe = Probe([*wanted, "--token-threshold", "10s", *args],
                           self.b.dir(), record=False, wrap=("env", f"DORA_PROBE_SOURCES={way}"))
        self.b.probes.append(self.probe)
        self.probe.start()
        if targets:
            self.probe.wait("start", 10)
            time.sleep(0.5)
        else:
            self.probe.wait_attached(self.pids)

    def start_others(self, *commands):
        for c in commands:
            self.procs.append(subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, cwd=self.b.dir()))
        time.sleep(1.5)
        for p in self.procs:
            if p.poll() is not None:
                raise RuntimeError(f"{p.args[0]} has ended with {p.returncode}")

    def start_py_spy(self, *args):
        self.start_others(*([found("py-spy"), "record", "--gil", *args, "-d", "600", "-f", "raw", "-o",
                             f"py-spy.{pid}", "-p", str(pid)] for pid in self.pids))

    def cpu(self):
        """CPU time so far of all that it runs, ns."""
        pids = [p.pid for p in self.procs] + ([self.probe.proc.pid] if self.probe else [])
        return sum(map(cpu_ns, pids))

    def end(self):
        if self.probe:
            self.probe.end()
        for p in self.procs:
            end_process(p)


NOTHING, DEFAULT = "nothing", "default"


def tools():
    """name: what starts it. Those that are not installed are left out."""
    ret = {NOTHING: lambda t: None,
           DEFAULT: lambda t: t.start_probe(),
           "tracepoints": lambda t: t.start_probe(way="tracepoints"),
           "system calls": lambda t: t.start_probe(way="syscalls"),
           "--exact": lambda t: t.start_probe("--exact"),
           "nothing watched": lambda t: t.start_probe(targets=["--node", "nobody-has-this-name"])}
    if found("py-spy"):
        ret["py-spy --nonblocking"] = lambda t: t.start_py_spy("--nonblocking")
        ret["py-spy"] = lambda t: t.start_py_spy()
    if found("bpftrace"):
        ret["bpftrace"] = lambda t: t.start_others(
            [found("bpftrace"), "-e", SCRIPT.replace("%s", " || ".join(f"pid == {p}" for p in t.pids))])
    if found("perf"):
        ret["perf trace"] = lambda t: t.start_others(
            [found("perf"), "trace", "-o", "/dev/null", "-p", ",".join(map(str, t.pids))])
    if found("strace"):
        ret["strace -f"] = lambda t: t.start_others(
            [found("strace"), "-f", "-qq", "-o", "/dev/null", *(x for p in t.pids for x in ("-p", str(p)))])
    return ret


def rounds_of(b, pids, count, measure, leave_out=()):
    """
    Each tool once a round, the order turned by one each time: {name: [measured]}, rounds in which one could not be
    started as None.
    """
    ways = {n: f for n, f in tools().items()
            if n not in leave_out and (n == NOTHING or not b.tools or n in b.tools)}
    got, names = {}, list(ways)
    for n in range(count):
        for name in names[n % len(names):] + names[:n % len(names)]:
            tool = Tool(b, pids)
            try:
                ways[name](tool)
                time.sleep(0.3)
                got.setdefault(name, []).append(measure(tool))
            except RuntimeError as e:
                print(f"           {name}: {e}", flush=True)
                got.setdefault(name, []).append(None)
            finally:
                tool.end()
            time.sleep(0.3)
    return {name: rows for name, rows in got.items() if any(r is not None for r in rows)}
