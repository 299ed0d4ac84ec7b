# SPDX-License-Identifier: MIT
"""Nodes that somebody starts by hand, which join a dataflow by a name that only they know."""

import contextlib
import json
import os
import subprocess

import probe as probes
from flow import NODES, end_process, env_of, wait_until
from scenario import checks, scenario


class Robot:
    """A coordinator, a daemon and a dataflow of one dynamic node; the ports that all must find are those of a network
    namespace of its own."""

    def __init__(self, version, directory, node):
        self.env, self.dir, self.node = env_of(version), directory, node
        self.procs = []
        os.mkdir(directory)
        self.place = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 120"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        self.place.stdout.readline()
        with open(os.path.join(directory, "dataflow.yml"), "w") as f:
            json.dump({"nodes": [{"id": node, "path": "dynamic", "inputs": {"tick": "dora/timer/millis/100"}}]}, f)
        self.spawn("coordinator", "dora", "coordinator", *(["--store", "memory"] if version.startswith("1.") else []))
        self.wait_listening(53290 if version.startswith("0.") else 6013)
        self.spawn("daemon", "dora", "daemon")
        self.wait_listening(53291)

    def spawn(self, log, program, *args, **env):
        with open(os.path.join(self.dir, log + ".log"), "ab") as out:
            proc = subprocess.Popen(
                ["nsenter", f"--net=/proc/{self.place.pid}/ns/net", os.path.join(self.env, "bin", program), *args],
                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                env=dict({k: v for k, v in os.environ.items() if not k.startswith("DORA_")}, HOME=self.dir, **env))
        self.procs.append(proc)
        return proc

    def wait_listening(self, port):
        def listens():
            with open(f"/proc/{self.place.pid}/net/tcp") as f:
                rows = [line.split() for line in f]
            with open(f"/proc/{self.place.pid}/net/tcp6") as f:
                rows += [line.split() for line in f]
            return any(r[3] == "0A" and r[1].endswith(f":{port:04X}") for r in rows)
        with contextlib.suppress(Exception):  # a port that another release does not use
            wait_until(listens, 8, f"listener at {port}")

    def read(self, log):
        with open(os.path.join(self.dir, log + ".log"), errors="replace") as f:
            return f.read()

    def start(self):
        # It waits for its node with some releases, and answers at once with others.
        self.spawn("start", "dora", "start", "dataflow.yml", "--name", "joined", "--detach")

    def join(self, keeps):
        """The process, which has joined."""
        proc = self.spawn("joins", "python", os.path.join(NODES, "joins.py"), E2E_JOINS=self.node, E2E_KEEPS=keeps)
        wait_until(lambda: "ready" in self.read("joins") or proc.poll() is not None, 20, "node that has joined")
        return proc

    def stop(self):
        self.spawn("stop", "dora", "stop", "--name", "joined")

    def end(self):
        for proc in reversed(self.procs):
            end_process(proc, patience=2)
        end_process(self.place, patience=2)


@contextlib.contextmanager
def robot(t, node):
    r = Robot(t.version, os.path.join(t.dir, "robot"), node)
    try:
        r.start()
        yield r
    finally:
        r.end()


def name_of(t, kind):
    return f"{kind}-{t.rng.randrange(1 << 30)}"


def told(t, lines, node, pid):
    """Its lines are those of a node, from its name to its end."""
    t.expect({(o["node"], o["role"]) for o in checks.lines_of(lines, "node", pid=pid)} == {(node, "dynamic")},
             f"node lines: {checks.lines_of(lines, 'node')}")
    t.expect([o["reason"] for o in checks.lines_of(lines, "stop", node=node)] == ["stop"], "no Stop, or two")
    t.expect([(o["reason"], o["code"]) for o in checks.lines_of(lines, "exit", pid=pid)] == [("clean", 0)],
             f"exits: {checks.lines_of(lines, 'exit')}")


@scenario()
def dynamic_early(t):
    """The probe is there first: it is told by its name, and to a probe that wants another node it is no loss."""
    node = name_of(t, "joins")
    with robot(t, node) as r:
        t.allowed_codes = (0, 5)  # 5: what was asked for never came
        mine = t.probe("--node", node, pids=[])
        strangers = t.probe("--node", name_of(t, "nobody"), pids=[])
        pid = r.join(t.rng.choice(("local", "global", "attribute"))).pid
        mine.wait("node", 10, pid=pid)
        r.stop()
        mine.wait("exit", 10, pid=pid)
        mine.end()
        strangers.end()
    told(t, mine.events(), node, pid)
    seen = [o for o in strangers.events() if o["event"] not in ("start", "summary")]
    t.expect(not seen, f"of a node that nobody asked for: {seen}")


@scenario()
def dynamic_late(t):
    """The probe comes later: `list` names it, and so do --node and --pid, each with its connections and Stop."""
    node = name_of(t, "ran")
    with robot(t, node) as r:
        pid = r.join(t.rng.choice(("local", "global", "attribute"))).pid
        rows = [json.loads(line) for line in probes.run("list", "--json").stdout.splitlines()]
        rows = [o for o in rows if o["pid"] == pid or o["node"] == node]
        t.expect([(o["pid"], o["node"], o["role"], o["transport"]) for o in rows] == [(pid, node, "dynamic", "tcp")],
                 f"list: {rows}")
        by = [t.probe("--node", node, pids=[]), t.probe(pids=[pid])]
        for p in by:
            p.wait("node", 10, pid=pid)
        r.stop()
        for p in by:
            p.wait("exit", 10, pid=pid)
            p.end()
    for p in by:
        told(t, p.events(), node, pid)
        stock = checks.lines_of(p.events(), "stock", pid=pid)
        t.expect(stock and stock[0]["connections"] >= 2, f"connections: {stock}")
