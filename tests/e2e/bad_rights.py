# SPDX-License-Identifier: MIT
"""Missing rights and kernel features: each has its exit code, its sentence, and what mends it."""

import json
import os
import re
import shutil
import stat
import subprocess
import time
import urllib.request

import pytest

from flow import Flow, env_of, free_port, receiver, sender
from probe import BINARY, Probe, run
from refusals import FEATURE, IDLE, OK, PYTHON, RIGHT, Target, Wrong, python, refuse


def stranger(folder):
    """The binary where everybody can run it, and the start of a command without any right."""
    if os.geteuid() != 0:
        pytest.skip("giving up rights needs root")
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    os.chmod(folder, 0o755)
    exe = os.path.join(folder, "dora-probe")
    if not os.path.exists(exe):
        shutil.copy(BINARY, exe)
        os.chmod(exe, stat.S_IRWXU | 0o055)
    return exe, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                 "--bounding-set=-all"]


def test_without_rights(folder):
    """As nobody: 3, and the command that mends it."""
    exe, wrap = stranger(folder)
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=wrap, binary=exe), RIGHT, "sudo", "setcap")


def test_without_rights_own_process(folder):
    exe, wrap = stranger(folder)
    with Target(*wrap, PYTHON, "-u", "-c", "print('up')\n" + IDLE) as t:
        t.said()
        refuse(run("--pid", t.pid, wrap=wrap, binary=exe), RIGHT, "sudo", "setcap")


def test_root_without_capabilities(folder):
    """Root in a container without capabilities."""
    stranger(folder)
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=["setpriv", "--inh-caps=-all", "--bounding-set=-all"]),
               RIGHT, "cap")


def test_commands_without_rights(folder):
    """list, doctor, --help and replay do not crash as nobody."""
    exe, wrap = stranger(folder)
    for args in (("list",), ("doctor",)):
        got = run(*args, wrap=wrap, binary=exe)
        if got.returncode not in (OK, RIGHT, FEATURE):
            raise Wrong(f"{args}: exit code {got.returncode} {got.stderr!r}")
        if not got.stdout and not got.stderr:
            raise Wrong(f"{args} says nothing")
    if run("--help", wrap=wrap, binary=exe).returncode:
        raise Wrong("--help fails")


def unit_rights():
    """The capabilities of the systemd unit, as setpriv spells them."""
    unit = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "agent", "dist",
                        "dora-probe.service")
    with open(unit, encoding="utf-8") as f:
        line, = re.findall(r"^CapabilityBoundingSet=(.*)$", f.read(), re.M)
    return [c.removeprefix("CAP_").lower() for c in line.split()]


def with_rights(folder, rights):
    """As a user that has these capabilities and no other: binary and start of a command."""
    exe, _ = stranger(folder)
    only = ",".join(["-all", *(f"+{r}" for r in rights)])
    return exe, ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
                 f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"]


# A few tenths of a second on the CPU in C with the GIL, and nobody waits for it.
C_HOLD = ("import time\n"
          "while True:\n"
          "    pow(7, 2_000_017)\n"
          "    time.sleep(0.4)\n")


def proven_on_cpu(holds):
    """The holds that are said for certain although their thread computed: an edge source saw them.

    What a thread spends off the CPU with the GIL, the scheduler proves without an edge source.
    """
    return [x for x in holds if x["precision"] != "unconfirmed"
            and x["duration_ns"] > x["off_cpu_ns"] + 1_000_000]


def hold_with(folder, rights, name):
    """Watches a hold without a waiter: the findings of holds, the source, standard error."""
    exe, wrap = with_rights(folder, rights)
    workdir = os.path.join(folder, name)
    os.mkdir(workdir)
    with python(C_HOLD) as t:
        got = run("--pid", t.pid, "--json", "--exact", "--duration", "8s", wrap=wrap, binary=exe)
    if got.returncode != OK:
        raise Wrong(f"{name}: exit code {got.returncode}: {got.stderr!r}")
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    return [x for x in lines if x["event"] == "gil_hold"], lines, got.stderr


def test_rights_of_the_unit(folder):
    """With exactly the unit's rights a hold is confirmed; each needed one less is said."""
    rights = unit_rights()
    holds, _, err = hold_with(folder, rights, "all")
    if not proven_on_cpu(holds) or "uprobe" in err:
        raise Wrong(f"{len(holds)} holds, {err!r}")
    holds, lines, err = hold_with(folder, [r for r in rights if r != "sys_admin"], "no_admin")
    if proven_on_cpu(holds):
        raise Wrong(f"confirmed without an edge source: {proven_on_cpu(holds)}")
    exe, wrap = with_rights(folder, [r for r in rights if r != "sys_admin"])
    said = run("doctor", wrap=wrap, binary=exe).stdout
    if not re.search("^limited +level +full, but", said, re.M):
        raise Wrong(f"doctor says the level without a word of it: {said!r}")
    if "CAP_SYS_ADMIN" not in err or "unconfirmed" not in err:
        raise Wrong(f"does not say what is missing: {err!r}")
    if not any("CAP_SYS_ADMIN" in (x.get("reason") or "") for x in lines if x["event"] == "node"):
        raise Wrong(f"no node line has the reason: {[x for x in lines if x['event'] == 'node']}")


@pytest.mark.parametrize(("less", "instead"), [("bpf", []), ("perfmon", []), ("checkpoint_restore", []),
                                               ("dac_read_search", ["dac_override"])])
def test_right_that_another_stands_in_for(folder, less, instead):
    """SYS_ADMIN, which is there, or DAC_OVERRIDE stands in for each: nothing is lost, and nothing is said."""
    rights = [r for r in unit_rights() if r != less] + instead
    holds, _, err = hold_with(folder, rights, less)
    if not proven_on_cpu(holds) or "CAP_" in err:
        raise Wrong(f"without {less}: {len(holds)} holds, {err!r}")
    exe, wrap = with_rights(folder, rights)
    said = run("doctor", wrap=wrap, binary=exe)
    line = re.search("^(?:ok|limited) +capabilities .*", said.stdout, re.M)
    if said.returncode != OK or not line or f"CAP_{less.upper()}" in line.group():
        raise Wrong(f"without {less} the doctor gives {said.returncode}: {said.stdout!r}")


@pytest.mark.parametrize("less", ["sys_ptrace", "dac_read_search", "bpf", "perfmon"])
def test_right_without_which_nothing_can_be_watched(folder, less):
    """3, the right by its name, and the command that mends it; of BPF and PERFMON where SYS_ADMIN is not there either."""
    rights = [r for r in unit_rights() if r != less and (less[:3] not in ("bpf", "per") or r != "sys_admin")]
    exe, wrap = with_rights(folder, rights)
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--duration", "1s", wrap=wrap, binary=exe)
        refuse(got, RIGHT, f"CAP_{less.upper()}")
        refuse(got, RIGHT, "sudo|setcap")
    said = run("doctor", wrap=wrap, binary=exe)
    if said.returncode != RIGHT or f"CAP_{less.upper()}" not in said.stdout:
        raise Wrong(f"without {less} the doctor gives {said.returncode}: {said.stdout!r}")


def test_missing_uprobe_is_exported(folder):
    """Without SYS_ADMIN: a warning of its kind in the lines and at the endpoint, for as long as it lasts."""
    exe, wrap = with_rights(folder, [r for r in unit_rights() if r != "sys_admin"])
    port = free_port()
    with python(C_HOLD) as t:
        p = Probe(["--pid", t.pid, "--exact", "--listen", f"127.0.0.1:{port}"], folder, record=False, binary=exe,
                  wrap=wrap).start()
        try:
            told = p.wait("warning", 10, kind="source_missing")
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
        finally:
            p.end(9)
    if len(told) != 1 or "CAP_SYS_ADMIN" not in told[0]["advice"] or told[0]["resolved"]:
        raise Wrong(f"{told}")
    if not re.search(r'^dora_probe_warnings_total\{.*kind="source_missing".*\} 1$', metrics, re.M):
        raise Wrong("the endpoint does not count it")
    if not any("CAP_SYS_ADMIN" in m for o in p.events("node", pid=t.pid) for m in o["missing"]):
        raise Wrong(f"no node line has it in `missing`: {p.events('node')}")


def test_nudge_without_kill(folder):
    """Without KILL a node of another user cannot be helped, which is said as soon as it is there."""
    exe, wrap = with_rights(folder, unit_rights())
    config = ("node_id: other\ndataflow_id: 018f0000-0000-7000-8000-000000000000\n"
              "run_config: {inputs: {}, outputs: []}\n"
              "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:9\n")
    with python(IDLE, env=dict(os.environ, DORA_NODE_CONFIG=config)) as t:
        got = run("--pid", t.pid, "--json", "--shutdown", "nudge", "--duration", "2s", wrap=wrap, binary=exe)
    if got.returncode != OK or "could not be helped" not in got.stderr or "cap_kill" not in got.stderr:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")


def test_doctor_by_rights(folder):
    """What the doctor says and its exit code, with the unit's rights and with one less."""
    rights = unit_rights()
    exe, wrap = with_rights(folder, [*rights, "kill"])
    full = run("doctor", wrap=wrap, binary=exe)
    if full.returncode != OK or re.search("^(limited|missing) +(capabilities|uprobes|programs)",
                                          full.stdout, re.M):
        raise Wrong(f"all rights: exit code {full.returncode}: {full.stdout}")
    for less, code, check in (("sys_admin", OK, "uprobes"), ("sys_ptrace", RIGHT, "capabilities"),
                              ("dac_read_search", RIGHT, "capabilities"),
                              ("bpf", OK, None), ("perfmon", OK, None), ("checkpoint_restore", OK, None),
                              ("kill", OK, "capabilities")):
        exe, wrap = with_rights(folder, [r for r in [*rights, "kill"] if r != less])
        got = run("doctor", wrap=wrap, binary=exe)
        if got.returncode != code:
            raise Wrong(f"without {less}: exit code {got.returncode}: {got.stdout}")
        if check and not re.search(f"^(limited|missing) +{check}", got.stdout, re.M):
            raise Wrong(f"without {less}: {check} is not named: {got.stdout}")
        if check and f"CAP_{less.upper()}" not in got.stdout:
            raise Wrong(f"does not name {less}: {got.stdout}")
    exe, wrap = with_rights(folder, [r for r in rights if r not in ("bpf", "perfmon", "sys_admin")])
    got = run("doctor", wrap=wrap, binary=exe)
    if got.returncode != RIGHT or not re.search("^missing +programs", got.stdout, re.M):
        raise Wrong(f"without bpf: exit code {got.returncode}: {got.stdout}")


def hidden(*folders):
    """Start of a command that sees empty folders in the place of these."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("hiding a folder needs root and unshare")
    script = "".join(f"if [ -d {f} ]; then mount -t tmpfs -o ro none {f} || exit 99; fi; "
                     for f in folders)
    wrap = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    return wrap


def test_without_btf():
    """Level sampling: the node is watched by looks alone, which the message, its line and the doctor say."""
    wrap = hidden("/sys/kernel/btf")
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--json", "--duration", "600ms", wrap=wrap)
    nodes = [x for x in map(json.loads, got.stdout.splitlines()) if x["event"] == "node"]
    if got.returncode != OK or "BTF" not in got.stderr or "level sampling" not in got.stderr:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    if not nodes or "level sampling" not in nodes[0]["reason"] or nodes[0]["level"] != "sampling":
        raise Wrong(f"no node line says the level: {nodes}")
    said = run("doctor", wrap=wrap)
    if not re.search("^limited +level +sampling", said.stdout, re.M):
        raise Wrong(f"doctor does not say the level: {said.stdout!r}")


IN_A_NAMESPACE = f"{PYTHON} -c 'import time; time.sleep(60)' & sleep 0.5; "


@pytest.mark.parametrize(("where", "code"), [
    ("no BTF", OK), ("no sysfs", OK), ("PID namespace", OK), ("user namespace", OK), ("40 files", RIGHT), ("20 files", RIGHT),
    ("nothing", OK)])
def test_the_doctors_code_is_that_of_watch(where, code):
    """Where a watch goes on by looks alone the doctor's code is 0; where it does not begin, both say the same."""
    wrap = {"no BTF": lambda: hidden("/sys/kernel/btf"), "no sysfs": lambda: hidden("/sys"), "nothing": lambda: [],
            "PID namespace": lambda: ["unshare", "--pid", "--fork", "--mount-proc"],
            "user namespace": lambda: ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"],
            "40 files": lambda: ["prlimit", "--nofile=40:40"], "20 files": lambda: ["prlimit", "--nofile=20:20"]}[where]()
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip(f"{where}: needs unshare, and the right to use it")
    inside = IN_A_NAMESPACE + '"$@" --pid $!; code=$?; kill $!; exit $code'
    watch = run("--duration", "300ms", wrap=[*wrap, "sh", "-c", inside, "sh"])
    doctor = run("doctor", wrap=wrap)
    if watch.returncode != code or doctor.returncode != code:
        raise Wrong(f"watch {watch.returncode}: {watch.stderr!r}, doctor {doctor.returncode}: {doctor.stdout!r}")
    if "files" in where and ("ulimit -n" not in watch.stderr or "ulimit -n" not in doctor.stdout):
        raise Wrong(f"no limit is named: {watch.stderr!r}, {doctor.stdout!r}")


HOLDS_AND_SLEEPS = """import ctypes, time
held = ctypes.PyDLL(None).usleep
while True:
    held(300000)
    time.sleep(0.4)
"""


def test_holds_at_level_sampling():
    """Holds of 0.3 s, again and again, off the CPU: none is said to be longer than it was, and they are no one hold."""
    with python(HOLDS_AND_SLEEPS) as t:
        got = run("--pid", t.pid, "--json", "--hold-threshold", "20ms", "--duration", "5s", wrap=hidden("/sys/kernel/btf"))
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    holds = [x for x in lines if x["event"] == "gil_hold"]
    late = [x for x in holds if x["duration_ns"] > 400_000_000]
    if not 4 <= len(holds) <= 8 or late:
        raise Wrong(f"{len(holds)} holds in 5 s, too long: {late}")
    if len({x["start_ns"] for x in holds}) != len(holds):
        raise Wrong(f"holds with the same begin: {holds}")
    if [x for x in lines if x["event"] == "warning" and x["severity"] != "notice"]:
        raise Wrong("warned of a hold of 0.3 s")


def test_stop_at_level_sampling(folder):
    """Without kernel programs a running `dora stop` is a Stop all the same: witness, deadline, warning, exit."""
    if not env_of("0.5.0"):
        pytest.skip("no dora 0.5.0 here: tests/setup/dora_env.sh 0.5.0")
    flow = Flow("0.5.0", [sender(), receiver(plan=[{"at": 0.5, "do": "usleep", "for": 30}])], folder, mode="coordinator")
    p = Probe(["--all", "--shutdown", "observe"], folder, wrap=hidden("/sys/kernel/btf"))
    try:
        flow.start()
        pid = flow.pid("recv")
        p.start().wait("node", 15, pid=pid)
        flow.go()
        time.sleep(2)
        flow.stop("6s")
        stopped = time.monotonic_ns()
        stop = p.wait("stop", 5, pid=pid)[0]
        share = p.events("share", pid=pid)
        gone = p.wait("exit", 20, pid=pid)[0]
        if p.end() != OK:
            raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
    finally:
        p.end(9)
        flow.cleanup()
    if stop["witness"] != "command" or abs(stop["deadline_ns"] - stopped - 6e9) > 1.5e9:
        raise Wrong(f"{stop}, stopped at {stopped}")
    if gone["reason"] not in ("grace_kill", "signal", "error") or share:
        raise Wrong(f"{gone}, shares {share}")


def test_in_a_pid_namespace_of_its_own():
    """As in a container without --pid=host: the sentence that mends it, and its own processes at level sampling."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a PID namespace needs root and unshare")
    script = (f"{PYTHON} -c 'import ctypes, time\nwhile True: ctypes.PyDLL(None).usleep(300000); time.sleep(0.2)' & "
              'sleep 0.5; "$@" --pid $!; code=$?; kill -9 $!; exit $code')
    wrap = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]
    got = run("--json", "--duration", "2s", wrap=wrap)
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    nodes = [x for x in lines if x["event"] == "node"]
    holds = [x for x in lines if x["event"] == "gil_hold"]
    if got.returncode != OK or "--pid=host" not in got.stderr or "level sampling" not in got.stderr:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    if not nodes or nodes[0]["level"] != "sampling" or not nodes[0]["missing"] or not holds:
        raise Wrong(f"{len(holds)} holds, {nodes}")
    doctor = run("doctor", wrap=["unshare", "--pid", "--fork", "--mount-proc"])
    if "--pid=host" not in doctor.stdout or not re.search("^limited +level +sampling", doctor.stdout, re.M):
        raise Wrong(f"doctor: {doctor.stdout!r}")


def test_without_tracefs():
    """No tracefs: either it is not needed, or 4 and the mount command."""
    wrap = hidden("/sys/kernel/tracing", "/sys/kernel/debug")
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--json", "--duration", "600ms", wrap=wrap)
        if got.returncode == OK:
            if not any(json.loads(x)["event"] == "node" for x in got.stdout.splitlines()):
                raise Wrong("ended with 0 and watched nothing")
        else:
            refuse(got, FEATURE, "tracefs", "tracing")


def test_doctor():
    got = run("doctor")
    if got.returncode not in (OK, RIGHT, FEATURE):
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    for word in ("BTF", "kernel"):
        if word.lower() not in got.stdout.lower():
            raise Wrong(f"does not speak of {word}: {got.stdout!r}")


def test_listing():
    """`list` ends with 0: with the nodes, or with a sentence that there is none."""
    got = run("list")
    if got.returncode != OK:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    if not got.stdout and "no dora node" not in got.stderr:
        raise Wrong(f"no node and no sentence: {got.stderr!r}")
