# SPDX-License-Identifier: MIT
"""A real dora dataflow under test: started, stopped and cleaned up by process id."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
NODES = os.path.join(HERE, "nodes")
now = time.monotonic_ns


class FlowError(Exception):
    """The test's own surroundings failed: no verdict about the probe."""


def env_of(version):
    """The private environment that tests/setup/dora_env.sh made for a dora version, or None."""
    path = os.path.join(TOP, "build", "env", version)
    return path if os.path.exists(os.path.join(path, ".complete")) else None


def sender(name="send", period_ms=50, script="sender.py", env=None, **opts):
    return {"id": name, "script": script, "opts": opts, "env": env or {}, "outputs": ["data"],
            "inputs": {"tick": f"dora/timer/millis/{period_ms}"}}


def receiver(name="recv", source="send", queue_size=10, script="receiver.py", inputs=None, env=None,
             restart=None, described=None, **opts):
    given = {"data": {"source": f"{source}/data", "queue_size": queue_size}}
    given.update(inputs or {})
    return {"id": name, "script": script, "opts": opts, "env": env or {}, "outputs": [],
            "inputs": given, "restart": restart, "described": described or {}}


# A shell in the background starts its children with SIGINT ignored, and that is inherited through
# exec: the nodes under test would ignore the very signal that the tests are about.
DEFAULT_SIGNALS = ("env", "--default-signal=INT,QUIT,TERM")


def start_time(pid):
    """Field 22 of /proc/PID/stat: with the pid, the identity of a process. None when it is gone, with all of its
    threads: the first one is a zombie while others still run (field 20 is their number)."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" and int(fields[17]) <= 1 else int(fields[19])


def wait_until(check, timeout, what, step=0.01):
    end = time.monotonic() + timeout
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise FlowError(f"no {what} within {timeout} s")
        time.sleep(step)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_process(proc, sig=signal.SIGINT, patience=5):
    """Ends a child (Popen) by a signal (None: it has got one), or, where it has not gone in time, by SIGKILL."""
    if sig is not None and proc.poll() is None:
        proc.send_signal(sig)
    try:
        proc.wait(patience)
    except subprocess.TimeoutExpired:
        proc.kill()
        proc.wait(5)


class Flow:
    """One dataflow.

    mode "run": `dora run`, whose ports are ephemeral, so that any number can run at once.
    mode "coordinator": a coordinator and a daemon of its own on free ports, `dora start` and
    `dora stop`, for tests that need --grace-duration.
    """

    def __init__(self, version, nodes, workdir, mode="run", transport=None, limit=60):
        self.version = version
        self.env = env_of(version)
        if not self.env:
            raise FlowError(f"no environment for dora {version}: tests/setup/dora_env.sh {version}")
        self.nodes = nodes
        self.dir = workdir
        self.mode = mode
        self.transport = transport
        self.limit = limit
        self.procs = {}  # role -> Popen
        self.known = {}  # pid -> start time, of the nodes
        self.regions = set()
        self.queued = {}  # (pid, tid) -> [(time, run delay)]
        self.readers = []  # pids of the probes: they read the nodes' memory
        self.stop_ns = None
        self.go_ns = None
        self.ports = {}
        self.name = "flow-" + os.path.basename(workdir)
        self.uuid = None
        self._watch = None
        self._over = threading.Event()

    # -- starting

    def _environ(self):
        e = {k: v for k, v in os.environ.items() if not k.startswith(("E2E_", "DORA_"))}
        e["PATH"] = os.path.join(self.env, "bin") + ":" + e["PATH"]
        e["VIRTUAL_ENV"] = self.env
        e.pop("PYTHONDONTWRITEBYTECODE", None)
        e["PYTHONPYCACHEPREFIX"] = os.path.join(TOP, "build", "pycache")
        return e

    def _write(self):
        nodes = []
        for n in self.nodes:
            env = {"E2E_NODE": n["id"], "E2E_DIR": self.dir, "E2E_OPTS": json.dumps(n["opts"]),
                   "E2E_LIMIT": str(self.limit), "E2E_DORA": self.version}
            env.update(n["env"])
            path = n["script"] if os.path.isabs(n["script"]) else os.path.join(NODES, n["script"])
            node = {"id": n["id"], "path": path, "inputs": n["inputs"], "env": env}
            if n["outputs"]:
                node["outputs"] = n["outputs"]
            if n.get("restart"):
                node["restart_policy"] = n["restart"]
            node.update(n.get("described", {}))  # what else its entry in the descriptor has
            nodes.append(node)
        flow = {"nodes": nodes}
        if self.transport:
            flow["communication"] = {"_unstable_local": self.transport}
        # JSON is YAML too.
        with open(os.path.join(self.dir, "dataflow.yml"), "w") as f:
            json.dump(flow, f, indent=1)

    def _spawn(self, role, args):
        log = open(os.path.join(self.dir, role + ".log"), "ab")
        proc = subprocess.Popen([*DEFAULT_SIGNALS, os.path.join(self.env, "bin", "dora"), *args], cwd=self.dir,
                                env=self._environ(), stdin=subprocess.DEVNULL, stdout=log,
                                stderr=subprocess.STDOUT, start_new_session=True)
        log.close()
        self.procs[role] = proc
        return proc

    def _command(self, *args):
        return [*DEFAULT_SIGNALS, os.path.join(self.env, "bin", "dora"), *args,
                "--coordinator-addr", "127.0.0.1", "--coordinator-port",
                str(self.ports["control"])]

    def dora(self, *args, timeout=30):
        """A `dora` command against this dataflow's own coordinator."""
        return subprocess.run(
            self._command(*args), cwd=self.dir, env=self._environ(), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=timeout, text=True, start_new_session=True)

    def start(self, wait=True):
        self._write()
        if self.mode == "run":
            self._spawn("run", ["run", "dataflow.yml"])
        else:
            self._start_coordinator()
        self._watch = threading.Thread(target=self._watch_nodes, daemon=True)
        self._watch.start()
        if wait:
            self.wait_ready()
        return self

    def _start_coordinator(self):
        for attempt in range(4):
            try:
                self._try_ports()
                break
            except FlowError:
                # Somebody else took one of the ports between our look and the bind.
                for role in ("daemon", "coordinator"):
                    if role in self.procs:
                        end_process(self.procs.pop(role), signal.SIGKILL)
                if attempt == 3:
                    raise
        self._start_dataflow()

    def _try_ports(self):
        major = int(self.version.split(".")[0])
        port = free_port()
        self.ports = {"daemon": port, "control": port if major else free_port(),
                      "local": free_port()}
        args = ["coordinator", "--interface", "127.0.0.1", "--port", str(port), "--quiet"]
        if major:
            args += ["--store", "memory"]  # its default is one file for all coordinators
        else:
            args += ["--control-interface", "127.0.0.1", "--control-port",
                     str(self.ports["control"])]
        self._await("coordinator", self._spawn("coordinator", args), self.ports["control"])
        self._await("daemon", self._spawn("daemon", [
            "daemon", "--coordinator-addr", "127.0.0.1", "--coordinator-port", str(port),
            "--local-listen-port", str(self.ports["local"]), "--quiet"]), self.ports["local"])

    def _await(self, role, proc, port):
        wait_until(lambda: self._listens(port) or proc.poll() is not None, 15, role)
        if proc.poll() is not None:
            raise FlowError(f"{role} ended with {proc.returncode}")

    def _start_dataflow(self):
        end = time.monotonic() + 15
        while True:
            # The daemon listens a moment before the coordinator has taken it in.
            got = self.dora("start", "dataflow.yml", "--name", self.name, "--detach")
            if got.returncode == 0:
                break
            if time.monotonic() > end:
                raise FlowError("dora start: " + got.stdout + got.stderr)
            time.sleep(0.2)
        found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", got.stdout + got.stderr)
        self.uuid = found.group(0) if found else None

    @staticmethod
    def _listens(port):
        want = f"{port:04X}"
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table) as f:
                for line in f:
                    part = line.split()
                    if part[3] == "0A" and part[1].endswith(":" + want):
                        return True
        return False

    def wait_ready(self, timeout=30):
        wait_until(lambda: all(self.said(n["id"], "ready") for n in self.nodes), timeout,
                   "ready dataflow")
        for n in self.nodes:
            pid = self.said(n["id"], "ready")[0]["pid"]
            self.known[pid] = start_time(pid)

    # -- what the nodes say

    def truth(self, node):
        out = []
        try:
            with open(os.path.join(self.dir, node + ".truth.jsonl")) as f:
                # At once: line by line, a line that is being written would come in two pieces.
                for line in f.read().split("\n")[:-1]:
                    out.append(json.loads(line))
        except FileNotFoundError:
            pass
        return out

    def said(self, node, kind):
        return [t for t in self.truth(node) if t["kind"] == kind]

    def pid(self, node):
        got = self.said(node, "start")
        return got[0]["pid"] if got else None

    def pids(self):
        return {n["id"]: self.pid(n["id"]) for n in self.nodes}

    def wait_restarted(self, node, timeout=20):
        """Waits until dora has started a node anew; gives the new pid."""
        pid = self.wait_said(node, "ready", timeout, count=2)[1]["pid"]
        self.known[pid] = start_time(pid)
        return pid

    def go(self):
        self.go_ns = now()
        tmp = os.path.join(self.dir, "go.tmp")
        with open(tmp, "w") as f:
            f.write(str(self.go_ns))
        os.rename(tmp, os.path.join(self.dir, "go"))

    def wait_said(self, node, kind, timeout, count=1):
        return wait_until(lambda: (lambda s: s if len(s) >= count else None)(self.said(node, kind)),
                          timeout, f"{kind} of {node}")

    # -- stopping

    def stop(self, grace=None):
        """Asks dora to stop the dataflow; does not wait."""
        self.stop_ns = now()
        if self.mode == "run":
            self.procs["run"].send_signal(signal.SIGINT)
            return
        args = ["stop", self.uuid] if self.uuid else ["stop", "--name", self.name]
        if grace:
            args += ["--grace-duration", grace]
        self.ask(*args)

    def ask(self, *args):
        """A `dora` command that ends nodes; does not wait for them."""
        self.stop_ns = now()
        log = open(os.path.join(self.dir, "stop.log"), "ab")
        self.procs["stop"] = subprocess.Popen(
            self._command(*args), cwd=self.dir, env=self._environ(), stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        log.close()

    def alive(self):
        return [pid for pid, began in self.known.items() if began and start_time(pid) == began]

    def wait_gone(self, timeout):
        """Waits until every node has left. Returns the moment at which the last one was gone."""
        wait_until(lambda: not self.alive(), timeout, "end of the nodes", 0.005)
        return now()

    def cleanup(self):
        self._look_for_regions()
        self._over.set()
        if self.stop_ns and not self.alive() and "run" in self.procs:
            # It is about to end by itself; a second SIGINT would abort it in the middle of that.
            try:
                self.procs["run"].wait(3)
            except subprocess.TimeoutExpired:
                pass
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        for n in self.nodes:  # nodes that never became ready
            pid = self.pid(n["id"])
            if pid and pid not in self.known and start_time(pid):
                os.kill(pid, signal.SIGKILL)
        for role in ("stop", "daemon", "coordinator", "run"):
            if role in self.procs:
                end_process(self.procs[role], patience=2)
        for name in self.regions:
            try:
                os.unlink("/dev/shm/" + name)
            except FileNotFoundError:
                pass

    # -- shared memory

    def _look_for_regions(self):
        """Names of the shared memory that this dataflow's own processes have mapped."""
        pids = [p for p in self.pids().values() if p] + [p.pid for p in self.procs.values()]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/maps") as f:
                    self.regions.update(re.findall(r"/dev/shm/(shmem_[0-9A-F]+|\w+\.zenoh)\b",
                                                   f.read()))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass

    def closed_by_sender(self):
        """How many regions the senders gave up by dora's own words; None where dora says nothing
        (0.3.12 prints no warnings of nodes, 1.x has no tokens)."""
        if self.version.startswith(("0.3.", "1.")):
            return None
        total = 0
        for folder, _, names in os.walk(self.dir):
            for name in names:
                if name.endswith((".log", ".txt", ".jsonl")) and "truth" not in name:
                    with open(os.path.join(folder, name), errors="replace") as f:
                        text = f.read()
                    found = re.findall(r"closing (\d+) shared memory regions", text)
                    # `dora run` writes a node's words to its own log and to a file below out/.
                    total = max(total, sum(map(int, found)))
        return total

    # -- what the machine did to them

    STEP = 0.05

    def _watch_nodes(self):
        n = 0
        while not self._over.wait(self.STEP):
            n += 1
            if n % 10 == 0:
                self._look_for_regions()
            self._look_at_queues()

    def _look_at_queues(self):
        """Time that each thread of a node has spent runnable without a CPU, as the scheduler says."""
        for pid in [*self.known, *self.readers]:
            try:
                for tid in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                        delay = int(f.read().split()[1])
                    self.queued.setdefault((pid, int(tid)), []).append((now(), delay))
            except (FileNotFoundError, ProcessLookupError, IndexError):
                pass

    def held_up(self, pid, tid, begin, end):
        """The same with the probes' own: one that is put aside while it reads a node's memory has
        the lock that the node needs for its next munmap, under the GIL."""
        return self.starved(pid, tid, begin, end) + sum(
            self.starved(p, None, begin, end) for p in self.readers)

    def starved(self, pid, tid, begin, end):
        """Upper bound of the time in [begin, end] for which a thread (None: the threads of pid in
        sum) wanted a CPU and had none. A thread that is put aside while it has the GIL keeps it:
        on a busy machine that is a real hold which nobody laid down."""
        total = 0
        for (p, t), samples in self.queued.items():
            if p != pid or tid not in (None, t):
                continue
            before = max((d for at, d in samples if at <= begin), default=0)
            after = min((d for at, d in samples if at >= end), default=samples[-1][1])
            total += max(0, after - before)
        return total
