# SPDX-License-Identifier: MIT
"""Wrong targets, and such as change, end or lie while they are watched."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from flow import start_time, wait_until
from probe import BINARY, Probe, run
from refusals import IDLE, INTERNAL, MS, OK, PYTHON, TARGET, USAGE, Target, Wrong, python, refuse, unused_pid, watched


def test_no_such_pid():
    pid = unused_pid()
    refuse(run("--pid", pid), TARGET, str(pid))


def test_not_python():
    """A process that is neither Python nor a dora node."""
    with Target("sleep", "60") as t:
        wait_until(lambda: b"sleep" in open(f"/proc/{t.pid}/cmdline", "rb").read(), 5, "sleep")
        refuse(run("--pid", t.pid), TARGET, "python", "dora")


def test_kernel_thread():
    if "kthreadd" not in open("/proc/2/comm").read():
        pytest.skip("no kernel threads are seen from here (own PID namespace)")
    refuse(run("--pid", 2), TARGET)


def test_zombie():
    with Target("true") as t:
        wait_until(lambda: open(f"/proc/{t.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z",
                   5, "zombie")
        refuse(run("--pid", t.pid), TARGET)


def refuse_or_wait(folder, option, name):
    """A name may come later: 5 at once, or the sentence that it is waited for, and 5 in the end."""
    p = Probe([option, name], folder, record=False).start()
    try:
        try:
            code = p.proc.wait(3)
        except subprocess.TimeoutExpired:
            if name not in p.stderr():
                raise Wrong(f"waits for {name} without a word: {p.stderr()!r}") from None
            code = p.end(signal.SIGINT)
        if code != TARGET or name not in p.stderr():
            raise Wrong(f"exit code {code}: {p.stderr()!r}")
    finally:
        p.end(signal.SIGKILL)


def test_no_such_node(folder):
    refuse_or_wait(folder, "--node", "nosuchnode-4711")


def test_no_such_dataflow(folder):
    refuse_or_wait(folder, "--dataflow", "018f0000-0000-7000-8000-000000000000")


def test_one_of_two_targets():
    """Of several targets a bad one is told, the good one is watched."""
    bad = unused_pid()
    with python(IDLE) as t:
        got = run("--pid", f"{t.pid},{bad}", "--json", "--duration", "700ms")
        pids = [o["pid"] for o in map(json.loads, got.stdout.splitlines()) if o["event"] == "node"]
        if got.returncode != OK or pids != [t.pid]:
            raise Wrong(f"exit code {got.returncode}, watched {pids}: {got.stderr!r}")
        if str(bad) not in got.stderr:
            raise Wrong(f"the bad target is not told: {got.stderr!r}")


def test_python_without_dora(folder):
    """No dora node: watched for the GIL all the same, and says so."""
    with python("import ctypes\ninput()\nctypes.PyDLL(None).usleep(400000)\n" + IDLE) as t:
        p = probe_of(folder, t.pid)
        try:
            t.go()
            p.wait("gil_hold", 10)
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
        finally:
            p.end(signal.SIGKILL)
    node = p.events("node")[0]
    if node["node"] is not None or node["dora"] is not None or node["tokens_observable"]:
        raise Wrong(f"taken for a dora node: {node}")
    if not node["gil_observable"] or not node["reason"]:
        raise Wrong(f"does not say what is observed: {node}")
    holds = p.events("gil_hold")
    if len(holds) != 1 or not 320 * MS < holds[0]["duration_ns"] < 410 * MS:
        raise Wrong(f"a hold of 400 ms gave {holds}")


def test_pypy():
    exe = shutil.which("pypy3")
    if not exe:
        pytest.skip("no pypy3 here (package pypy3 of Debian 12)")
    with python(IDLE, exe) as t:
        refuse(run("--pid", t.pid), TARGET, "pypy")


def test_without_runtime_symbol(folder):
    """A Python whose `_PyRuntime` cannot be found: neither as a symbol nor as a section."""
    with open(PYTHON, "rb") as f:
        data = f.read()
    if b"_PyRuntime\0" not in data:
        pytest.skip(f"{PYTHON} is linked to a shared libpython: nothing to patch in it")
    exe = os.path.join(folder, os.path.basename(PYTHON))
    with open(exe, "wb") as f:
        f.write(data.replace(b"_PyRuntime\0", b"_PyHidden_\0")
                .replace(b".PyRuntime\0", b".PyHidden_\0"))
    os.chmod(exe, 0o755)
    with python(IDLE, exe, env=dict(os.environ, PYTHONHOME="/usr")) as t:
        got = run("--pid", t.pid, "--json", "--duration", "700ms")
        if got.returncode == OK:
            # It may be found in another way (a scan of the data), but then it must be right.
            node = [o for o in map(json.loads, got.stdout.splitlines()) if o["event"] == "node"][0]
            if node["gil_observable"] or not node["reason"]:
                raise Wrong(f"observable without a runtime: {node}")
        else:
            refuse(got, TARGET, "_PyRuntime", "python")


def test_free_threaded():
    """No GIL, nothing to watch: said, not guessed."""
    exe = next((p for p in map(shutil.which, ("python3.15t", "python3.14t", "python3.13t")) if p),
               None)
    if not exe:
        pytest.skip("no free-threaded Python here (none in Debian 12 or on PyPI)")
    with python(IDLE, exe) as t:
        lines, got = watched(t.pid)
        node = [o for o in lines if o["event"] == "node"]
        if got.returncode == OK:
            if not node or node[0]["gil_observable"] or node[0]["free_threaded"] is not True:
                raise Wrong(f"free-threaded: {node}")
        else:
            refuse(got, TARGET, "free-threaded", "no GIL")


def test_too_old_python():
    """A Python from before 3.8 has another layout: said, not guessed."""
    root = os.path.expanduser("~/.pyenv/versions")
    found = sorted(v for v in (os.listdir(root) if os.path.isdir(root) else [])
                   if re.match(r"(2\.|3\.[0-7]\.)", v))
    if not found:
        pytest.skip("no Python before 3.8 here")
    for v in found:
        with python(IDLE, os.path.join(root, v, "bin", "python")) as t:
            lines, got = watched(t.pid)
            if got.returncode == OK:
                node = [o for o in lines if o["event"] == "node"][0]
                if node["gil_observable"] or not node["reason"]:
                    raise Wrong(f"Python {v}: {node}")
            else:
                refuse(got, TARGET, "python", what=f"Python {v}:")


def test_forged_node():
    """A process that is no node may claim anything in its environment: no crash, no trust."""
    claims = [
        "", "x", "node_id: a\x1b[31mb\nrun_config: {}\n", "node_id: " + "a" * 100_000,
        "dataflow_id: [[[[[[\n", "- " * 50_000, "&a [*a,*a]\n", "node_id: *x\n",
        "node_id: a\ndaemon_communication: !Tcp\n  socket_addr: 999.1.1.1:99999\n",
        "{" * 20_000, "node_id: \"\\u0000\"\n",
        # aliases of aliases: a naive reader needs 10**9 steps
        "".join(f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}" if n else "x"] * 10) + "]\n"
                for n in range(10)),
    ]
    for claim in claims:
        if "\0" in claim:
            continue
        with python(IDLE, env=dict(os.environ, DORA_NODE_CONFIG=claim)) as t:
            lines, got = watched(t.pid, seconds="300ms")
            if got.returncode not in (OK, TARGET):
                raise Wrong(f"claim {claim[:40]!r}: exit code {got.returncode} "
                            f"{got.stderr[-200:]!r}")
            if "\x1b" in got.stdout or "\x1b" in got.stderr:
                raise Wrong(f"claim {claim[:40]!r}: escape sequence passed through")


def test_dies_in_mid_read():
    """Targets that die while the probe is attaching to them."""
    rng = random.Random(7)
    for _ in range(8):
        pause = rng.uniform(0, 0.25)
        with python(f"import time\ntime.sleep({pause})\n") as t:
            got = run("--pid", t.pid, "--json", "--duration", "2s", timeout=10)
            if got.returncode == TARGET:
                refuse(got, TARGET)
            elif got.returncode != OK:
                raise Wrong(f"target gone after {pause:.3f} s: exit code {got.returncode} "
                            f"{got.stderr!r}")


def probe_of(folder, pid, *args):
    p = Probe(["--pid", pid, *args], folder, record=False).start()
    p.wait_attached([pid])
    return p


def test_execs_something_else(folder):
    """A target that becomes something that is no Python: let go, with an end."""
    with python("import os\ninput()\nos.execv('/bin/sleep', ['sleep', '30'])\n") as t:
        p = probe_of(folder, t.pid)
        try:
            t.go()
            code = p.end(None, 8)
            if code not in (OK, TARGET):
                raise Wrong(f"exit code {code}: {p.stderr()!r}")
            if code == TARGET and not p.stderr().strip():
                raise Wrong("ended with 5 without a word")
        finally:
            p.end(signal.SIGKILL)


def test_execs_python_again(folder):
    """A target that starts over as another Python is watched anew."""
    again = ("import ctypes, time\ntime.sleep(1.2)\nctypes.PyDLL(None).usleep(300000)\n"
             "time.sleep(0.5)\n")
    with python(f"import os\ninput()\nos.execv({PYTHON!r}, ['python3', '-c', {again!r}])\n") as t:
        p = probe_of(folder, t.pid)
        try:
            t.go()
            code = p.end(None, 10)
            holds = [o for o in p.events("gil_hold") if o["duration_ns"] > 200 * MS]
            if code != OK or len(holds) != 1:
                raise Wrong(f"exit code {code}, after exec: {len(holds)} holds, want 1")
        finally:
            p.end(signal.SIGKILL)


def test_forks(folder):
    """A child that holds the GIL is not taken for its parent."""
    code = ("import ctypes, os, time\ninput()\n"
            "if os.fork() == 0:\n ctypes.PyDLL(None).usleep(400000)\n os._exit(0)\n"
            "time.sleep(1.0)\n")
    with python(code) as t:
        p = probe_of(folder, t.pid)
        try:
            t.go()
            code = p.end(None, 10)
            wrong = [o for o in p.events("gil_hold") if o["pid"] == t.pid and
                     o["duration_ns"] > 100 * MS]
            if code != OK or wrong:
                raise Wrong(f"exit code {code}, holds of the parent: {wrong}")
        finally:
            p.end(signal.SIGKILL)


def test_two_probes(folder):
    """Two probes on one target do not disturb each other."""
    with python("import ctypes, time\ninput()\nctypes.PyDLL(None).usleep(400000)\n"
                "time.sleep(0.4)\n") as t:
        os.mkdir(os.path.join(folder, "b"))
        a, b = probe_of(folder, t.pid), probe_of(os.path.join(folder, "b"), t.pid)
        try:
            t.go()
            for p in (a, b):
                code = p.end(None, 10)
                holds = [o for o in p.events("gil_hold") if o["duration_ns"] > 300 * MS]
                if code != OK or len(holds) != 1:
                    raise Wrong(f"exit code {code}, {len(holds)} holds: {p.stderr()!r}")
        finally:
            a.end(signal.SIGKILL)
            b.end(signal.SIGKILL)


def test_killed_probe(folder):
    """A probe that is killed leaves its target alone."""
    with python(IDLE) as t:
        p = probe_of(folder, t.pid, "--exact")
        p.end(signal.SIGKILL)
        time.sleep(0.3)
        if start_time(t.pid) is None:
            raise Wrong("the target died with the probe")


def test_unwritable_output(folder):
    """No room for the output: an error, not a success."""
    with python(IDLE) as t, open("/dev/full", "wb") as full:
        got = subprocess.run([BINARY, "--pid", str(t.pid), "--json", "--duration", "500ms"],
                             stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
        refuse(got, INTERNAL, "space", "write")


def test_unwritable_recording(folder):
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--duration", "500ms", "--record", os.path.join(folder, "no/such/f"))
        refuse(got, (INTERNAL, USAGE), "no/such/f")
