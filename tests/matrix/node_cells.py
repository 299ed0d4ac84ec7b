# SPDX-License-Identifier: MIT
"""What is tried of nodes: the releases of dora, and the ways in which a node comes to run."""

import glob
import itertools
import os
import shutil
import subprocess
import time

from cells import Cell, call, once, venv
from dataflow import env_of, hold_and_stop
from run import BUILD, HERE, wait_for

RELEASES = ("0.3.6", "0.3.7", "0.3.8", "0.3.9", "0.3.10", "0.3.11", "0.3.12", "0.3.13", "0.4.0", "0.4.1", "0.5.0",
            "1.0.0", "1.0.1", "1.1.0")
_numbers = itertools.count(1)
LONG = "seventy-letters-" + "x" * 54
NAMES = {  # what is odd about it: the name
    "quotes": "say \"it's\" so",
    "Unicode": "Kamera-Süd-カメラ-🤖",
    "a newline": "first\nsecond",
    "70 characters": LONG,
}
PIPE = """#!{python}
# As `conda run` does: hands on what its child prints.
import subprocess, sys
child = subprocess.Popen([sys.executable, "{dir}/node.py"], stdout=subprocess.PIPE)
sys.stdout.buffer.write(child.communicate()[0])
sys.exit(child.returncode)
"""
AGAIN = """#!{python}
# A supervisor: starts its node again until it ends well.
import subprocess, sys, time
while subprocess.call([sys.executable, "{dir}/node.py"]):
    time.sleep(0.2)
"""
FILES = {
    "stays.sh": "#!/bin/sh\n'{python}' '{dir}/node.py'\nexit $?\n",
    "execs.sh": "#!/bin/sh\nexec '{python}' '{dir}/node.py'\n",
    "chain.sh": "#!/bin/sh\n'{dir}/execs2.sh'\nexit $?\n",
    "execs2.sh": "#!/bin/sh\nexec '{dir}/pipe'\n",
    "module.sh": "#!/bin/sh\nexec '{python}' -m node\n",  # dora resolves links: no virtual environment's python
    "pipe": PIPE,
    "again": AGAIN,
    "node": "#!{python}\nimport runpy\nrunpy.run_path('{dir}/node.py', run_name='__main__')\n",
}


def frozen(kind):
    """node.py with dora 0.5.0 as a program of PyInstaller's; the path of it."""
    python = "/usr/bin/python3" if glob.glob("/usr/lib/*/libpython3.*.so.1.0") else "python3"
    env = venv("frozen", "dora-rs==0.5.0", "pyarrow", "pyinstaller", python=python)
    out = os.path.join(BUILD, "frozen-" + kind)
    path = os.path.join(out, "node") if kind == "onefile" else os.path.join(out, "node", "node")

    def make():
        if not os.path.exists(path):
            call(env + "/bin/pyinstaller", "--log-level", "ERROR", "--" + kind, "--collect-all", "dora", "--copy-metadata",
                 "dora-rs", "--distpath", out, "--workpath", out + ".work", "--specpath", out + ".work",
                 os.path.join(HERE, "node.py"))
        return path

    return once("frozen-" + kind, make)


def dynamic(version):
    """Joins by name, from a shell of its own; the ports that it must find are those of a network namespace of its own."""
    name = own("joins")
    place = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep 600"],
                             stdin=subprocess.DEVNULL, start_new_session=True)
    enter = ["nsenter", "--net=" + f"/proc/{place.pid}/ns/net"]

    def start(flow):
        dora = os.path.join(flow.env, "bin", "dora")
        flow.write()
        flow.spawn(dora, "coordinator", *(["--store", "memory"] if version.startswith("1.") else []))
        time.sleep(1)
        flow.spawn(dora, "daemon")
        time.sleep(1)
        # It waits for its node: so it comes first, and the node a moment later.
        flow.spawn(dora, "start", "dataflow.yml", "--name", "joined", "--detach")
        time.sleep(1)
        flow.spawn(os.path.join(flow.env, "bin", "python"), flow.script,
                   env=dict(flow.environ(), DP_DYNAMIC=name, DP_TOLD=flow.told_path[name]))

    def stop(flow):
        flow.spawn(os.path.join(flow.env, "bin", "dora"), "stop", "--name", "joined")

    try:
        wait_for(lambda: os.readlink(f"/proc/{place.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "namespace", 5)
        return hold_and_stop(version, {name: {"path": "dynamic"}}, wrap=enter, start=start, stop=stop,
                             lists=False)  # of one that ran before, nobody knows the name
    finally:
        place.kill()
        place.wait()


def uv():
    return os.path.join(venv("uv", "uv"), "bin", "uv")


def fork():
    """A fork of dora on PyPI, below a name of its own: its version is not dora's, and what is said is the newest dora
    with the messages that it speaks."""
    env = venv("robodriver", "dora-rs-robodriver", "pyarrow")
    cli = env_of("0.3.13")
    shutil.copy(os.path.join(cli, "bin", "dora"), os.path.join(env, "bin", "dora"))
    return hold_and_stop(None, {"forked": {"path": "{dir}/execs.sh"}}, env=env,
                         files=FILES, dora="0.3.13")


def own(name):
    """A node's name that no cell has which runs beside this one."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


def way(version, title, path, quick=False, **more):
    node = {"path": path} if isinstance(path, str) else path
    node.setdefault("args", more.pop("args", None))
    return Cell(f"dora {version}", title, lambda: hold_and_stop(version, {own("started"): node}, files=FILES, **more), quick=quick)


def node_cells():
    for v in RELEASES:
        yield Cell(f"dora {v}", "script", lambda v=v: hold_and_stop(v, {own("plain"): {}}))
    yield Cell("dora-rs-robodriver (PyPI)", "script", fork)
    for v in ("0.5.0", "1.1.0"):
        yield way(v, "a shell that stays", "{dir}/stays.sh")
        yield way(v, "shells and a Python that reads its child's output, as `conda run`", "{dir}/chain.sh", quick=v == "0.5.0")
        yield Cell(f"dora {v}", "dynamic, by name", lambda v=v: dynamic(v))
    yield way("0.5.0", "a shell that execs", "{dir}/execs.sh")
    yield way("0.5.0", "#! script without a suffix", "{dir}/node")
    yield way("0.5.0", "python -m", "{dir}/module.sh")
    yield way("0.5.0", "the probe comes later", "{dir}/chain.sh", early=False)
    yield way("0.5.0", "a launcher that starts it again", {"path": "{dir}/again", "env": {"DP_DIES": "1"}})
    yield Cell("dora 0.5.0", "uv run", lambda: hold_and_stop("0.5.0", {own("started"): {
        "path": uv(), "args": "run --offline --no-project --python {python} {dir}/node.py"}}))
    for kind in ("onedir", "onefile"):
        yield Cell("dora 0.5.0", f"PyInstaller, {kind}", lambda k=kind: hold_and_stop("0.5.0", {own("started"): {"path": frozen(k)}}))
    for odd, name in NAMES.items():
        yield Cell("dora 0.5.0", f"a name with {odd}", lambda n=name: hold_and_stop("0.5.0", {
            n: {}, n + "2": {}}))
    yield Cell("dora 0.5.0", "50 nodes", lambda: hold_and_stop("0.5.0", {f"many{i:02}": {} for i in range(50)}))
