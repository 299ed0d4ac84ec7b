# SPDX-License-Identifier: MIT
"""A dora dataflow of nodes like node.py, each started in one way, watched by name: is each one entry, and its hold found?"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from flow import DEFAULT_SIGNALS, end_process
from run import HERE, PROBE, TOP, NotTried, lines, wait_for

NODE = os.path.join(HERE, "node.py")
S = 1_000_000_000


def env_of(version):
    """The environment of a dora release, which tests/setup/dora_env.sh makes."""
    path = os.path.join(TOP, "build", "env", version)
    got = subprocess.run([os.path.join(TOP, "tests", "setup", "dora_env.sh"), version], capture_output=True, text=True)
    if got.returncode:
        said = [x for x in got.stderr.splitlines() if x.startswith("ERROR") or "could not" in x]
        raise NotTried(said[0] if said else "could not be installed from PyPI")
    return path


def line_of(path, mark):
    with open(path) as f:
        return next(i for i, text in enumerate(f, 1) if text.endswith(f"# LINE {mark}\n"))


class Dataflow:
    """`nodes`: name -> {"path": …, "args": …, "env": {…}}; `files`: programs beside them, name -> text. `{dir}` and
    `{python}` in these are this one's."""

    def __init__(self, env, nodes, run_args=(), wrap=(), files=None):
        self.env = env
        self.dir = tempfile.mkdtemp(prefix="dp-nodes-")
        self.wrap = list(wrap)
        self.run_args = list(run_args)
        self.told_path = {name: os.path.join(self.dir, f"told{i}") for i, name in enumerate(nodes)}
        self.nodes = nodes
        self.script = os.path.join(self.dir, "node.py")
        shutil.copy(NODE, self.dir)
        for name, text in (files or {}).items():
            path = os.path.join(self.dir, name)
            with open(path, "w") as f:
                f.write(self.expand(text))
            os.chmod(path, 0o755)
        self.procs = []

    def expand(self, text):
        return text.replace("{dir}", self.dir).replace("{python}", os.path.join(self.env, "bin", "python"))

    def environ(self):
        e = {k: v for k, v in os.environ.items() if not k.startswith(("DP_", "DORA_"))}
        e["PATH"] = os.path.join(self.env, "bin") + ":" + e["PATH"]
        e["VIRTUAL_ENV"] = self.env
        return e

    def write(self):
        described = []
        for name, n in self.nodes.items():
            node = {"id": name, "path": self.expand(n.get("path", "node.py")), "inputs": {"tick": "dora/timer/millis/50"}}
            if node["path"] != "dynamic":
                node["env"] = dict(n.get("env", {}), DP_TOLD=self.told_path[name])
            if n.get("args"):
                node["args"] = self.expand(n["args"])
            described.append(node)
        with open(os.path.join(self.dir, "dataflow.yml"), "w") as f:
            json.dump({"nodes": described}, f, ensure_ascii=False)

    def spawn(self, *command, env=None):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            p = subprocess.Popen([*DEFAULT_SIGNALS, *self.wrap, *command], cwd=self.dir, env=env or self.environ(),
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.procs.append(p)
        return p

    def start(self):
        self.write()
        return self.spawn(os.path.join(self.env, "bin", "dora"), "run", "dataflow.yml", *self.run_args)

    def told(self, name):
        return lines(self.told_path[name])

    def await_told(self, name, what, seconds=60, count=1):
        def look():
            got = [x for x in self.told(name) if x["what"] == what]
            if len(got) >= count:
                return got[-1]
            if self.procs and self.procs[0].poll() not in (None, 0):
                raise AssertionError(f"dora ended with {self.procs[0].returncode}: {self.log()}")
            return None

        return wait_for(look, f"{what!r} of {name!r}", seconds)

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-400:]

    def hold(self, name, which="hold1"):
        open(self.told_path[name] + "." + which, "w").close()

    def stop(self):
        self.procs[0].send_signal(signal.SIGINT)

    def end(self):
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(signal.SIGINT)
        for name in self.nodes:
            for pid in {x["pid"] for x in self.told(name)}:
                try:
                    with open(f"/proc/{pid}/environ", "rb") as f:
                        if self.told_path[name].encode() in f.read():
                            os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        for p in self.procs:
            end_process(p, None)
        shutil.rmtree(self.dir, ignore_errors=True)


class Probe:
    def __init__(self, flow, *args):
        self.out, self.err = (os.path.join(flow.dir, x) for x in ("probe.json", "probe.err"))
        with open(self.out, "wb") as o, open(self.err, "wb") as e:
            self.proc = subprocess.Popen([*DEFAULT_SIGNALS, PROBE, "--json", *args], stdin=subprocess.DEVNULL,
                                         stdout=o, stderr=e)

    def said(self, event, **of):
        return [x for x in lines(self.out) if x["event"] == event and all(x.get(k) == v for k, v in of.items())]

    def wait(self, event, seconds=20, **of):
        def look():
            if self.proc.poll() is not None:
                with open(self.err, errors="replace") as f:
                    raise AssertionError(f"the probe ended with {self.proc.returncode}: {f.read()[-300:]}")
            return self.said(event, **of)

        return wait_for(look, f"{event} line with {of}", seconds)[0]

    def end(self):
        end_process(self.proc, patience=20)


def listed(name):
    got = subprocess.run([PROBE, "list", "--json"], capture_output=True, text=True, timeout=60)
    return [x for x in map(json.loads, got.stdout.splitlines()) if x["node"] == name]


def shown(probe, name, pid):
    """The name by which the probe shows this node: its own, but that what no line should have is a `?`, and that one of more
    than 63 bytes is cut and told apart from others by a hash."""
    got = probe.wait("node", pid=pid)["node"]
    want = "".join(c if c.isprintable() else "?" for c in name)
    if len(want.encode()) > 63:
        ok = got.startswith(want[:40]) and got.count("~") == 1 and len(got.encode()) <= 63
    else:
        ok = got == want
    if not ok:
        raise AssertionError(f"{name!r} is shown as {got!r}")
    return got


def check_hold(told, said, file, line, wrong, name):
    begin, end = (next(x["t"] for x in told if x["what"] == "hold1" + w) for w in ("_begin", "_end"))
    held = [x for x in said if x["start_ns"] < end and x["end_ns"] > begin and x["duration_ns"] > S]
    if len(held) != 1:
        wrong.append(f"{name!r}: {len(held)} holds: {[(x['function'], round(x['duration_ns'] / 1e6)) for x in said][:6]}")
        return
    h = held[0]
    if h["native"] is not True or h["function"] != "hold" or os.path.basename(h["file"]) != file or h["line"] != line:
        wrong.append(f"{name!r}: hold {h['native']} {h['function']} ({h['file']}:{h['line']})")
    if h["precision"] not in ("exact", "bounded"):
        wrong.append(f"{name!r}: {h['precision']}")
    if h["start_ns"] < begin - S // 20 or abs(h["duration_ns"] - (end - begin)) > S // 5:
        wrong.append(f"{name!r}: {begin}..{end} said {h['start_ns']}..{h['end_ns']}")


def one_entry(probe, name, pid, wrong, lives=1):
    """All that was said of this name was said of one node, whose process is `pid`."""
    rows = [r for s in probe.said("summary") for r in s["nodes"] if r["node"] == name]
    if len(rows) != 1 or rows[0].get("lives", 1) != lives:
        wrong.append(f"{name!r}: rows {[(r['node'], r.get('lives')) for r in rows]}, want one of {lives} lives")
    for event in ("node", "exit", "gil_hold", "stop"):
        got = {x["pid"] for x in probe.said(event, node=name)}
        if event != "gil_hold" and pid not in got:
            wrong.append(f"{name!r}: no {event} line of {pid}: {got}")
        if lives == 1 and got - {pid}:
            wrong.append(f"{name!r}: {event} lines of {got}, not {pid} alone")


def hold_and_stop(version, nodes, name=None, file="node.py", early=True, lives=1, run_args=(), wrap=(), files=None,
                  dora=None, start=None, stop=None, env=None, lists=True):
    """Each of the nodes holds once, the one called `name` a second time while the dataflow is stopped. `env`: of another
    distribution, `dora`: the version that is to be said then. `lists`: `dora-probe list` has them too."""
    flow = Dataflow(env or env_of(version), nodes, run_args, wrap, files)
    names = list(nodes)
    name = name or names[0]
    chosen = [x for n in names for x in ("--node", n)] if len(names) < 9 else ["--all"]
    probe = None
    try:
        if early:
            probe = Probe(flow, *chosen)
            probe.wait("start")
        (start or Dataflow.start)(flow)
        pids = {n: flow.await_told(n, "ready", count=1)["pid"] for n in names}
        probe = probe or Probe(flow, *chosen)
        seen = {n: shown(probe, n, pids[n]) for n in names}
        if len(set(seen.values())) != len(names):
            raise AssertionError(f"several have one name: {seen}")
        return told_and_said(flow, probe, seen, name, pids, file, lives, dora or version, stop, lists)
    finally:
        if probe:
            probe.end()
        flow.end()


def told_and_said(flow, probe, seen, name, pids, file, lives, dora, stop, lists):
    wrong, line, names = [], line_of(NODE, "hold"), list(seen)
    time.sleep(0.5)
    for n in names:
        flow.hold(n)
    for n in names:
        flow.await_told(n, "hold1_end")
        got = [x["pid"] for x in listed(seen[n])] if lists and len(names) < 9 else [pids[n]]
        if got != [pids[n]]:
            wrong.append(f"{n!r}: listed {got}, not {pids[n]}")
    time.sleep(1)
    flow.hold(name, "hold2")
    flow.await_told(name, "hold2_begin")
    time.sleep(0.4)
    flow.stop_ns = time.monotonic_ns()
    (stop or Dataflow.stop)(flow)
    for n in names:
        probe.wait("exit", 40, node=seen[n], pid=pids[n])
    time.sleep(0.5)
    probe.end()
    for n in names:
        one_entry(probe, seen[n], pids[n], wrong, lives)
        check_hold(flow.told(n), probe.said("gil_hold", node=seen[n], pid=pids[n]), file, line, wrong, n)
        said = [x["dora"] for x in probe.said("node", node=seen[n], pid=pids[n])]
        if said[-1:] != [dora]:
            wrong.append(f"{n!r}: dora {said}, want {dora}")
    facts = check_stop(flow, probe, seen[name], pids[name], wrong)
    if wrong:
        raise AssertionError("; ".join(wrong[:6]))
    return facts


def check_stop(flow, probe, name, pid, wrong):
    stops = probe.said("stop", node=name, pid=pid)
    if not stops:
        return "no Stop"
    s = stops[0]
    late = (s["t_ns"] - flow.stop_ns) / S
    # Up to 0.3.7 Stop is not on the wire before the hold has ended; nobody was told of before.
    if not -0.05 < late < 1.3:
        wrong.append(f"Stop said {late:.2f} s after it was asked for")
    grace = round((s["deadline_ns"] - s["t_ns"]) / S, 1) if s["deadline_ns"] else None
    return f"Stop by {s['witness']}, {late:+.2f} s, deadline {grace} s ({s['deadline_source']})"
