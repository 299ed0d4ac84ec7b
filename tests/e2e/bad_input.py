#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Wrong options, wrong targets, missing rights and features: each has its exit code of the README,
its own clear sentence on standard error, and never a crash or a silent wrong answer."""

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from flow import DEFAULT_SIGNALS, TOP, start_time, wait_until  # noqa: E402
from probe import BINARY, Probe, run  # noqa: E402

MS = 1_000_000
OK, INTERNAL, USAGE, RIGHT, FEATURE, TARGET = 0, 1, 2, 3, 4, 5
PYTHON = shutil.which("python3.11", path="/usr/bin") or os.path.realpath("/usr/bin/python3")


class Wrong(pytest.fail.Exception):
    """What was seen is not what must be: a sentence that needs no traceback."""

    def __init__(self, sentence):
        super().__init__(sentence, pytrace=False)


class Target:
    """A process to be watched, ended by pid."""

    def __init__(self, *args, **kw):
        self.proc = subprocess.Popen([*DEFAULT_SIGNALS, *args], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                     start_new_session=True, **kw)
        self.pid = self.proc.pid

    def __enter__(self):
        return self

    def said(self):
        line = self.proc.stdout.readline().decode().strip()
        if not line:
            raise Wrong("the target did not start")
        return line

    def go(self):
        """It waits for a line: however long the probe took to attach, nothing has happened yet."""
        self.proc.stdin.write(b"\n")
        self.proc.stdin.flush()

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()


def python(code, interpreter=None, **kw):
    t = Target(interpreter or PYTHON, "-u", "-c", "print('up')\n" + code, **kw)
    t.said()
    return t


IDLE = "import time\nwhile True: time.sleep(0.05)\n"


def refuse(got, code, *words, what=""):
    """The run ended with `code` and said why: short, one of the words in it, no crash."""
    codes = code if isinstance(code, tuple) else (code,)
    err = got.stderr.strip()
    if got.returncode not in codes:
        raise Wrong(f"{what} exit code {got.returncode}, want {codes}: {err[-300:]!r}")
    if not err:
        raise Wrong(f"{what} says nothing on standard error")
    lines = err.splitlines()
    if len(lines) > 3 or len(err) > 700:
        raise Wrong(f"{what} is not one clear sentence: {err[:700]!r}")
    if re.search(r"libbpf:|Assertion|Sanitizer|core dumped|Segmentation", err):
        raise Wrong(f"{what} speaks of its inside: {err!r}")
    if words and not any(re.search(w, err, re.I) for w in words):
        raise Wrong(f"{what} does not say {' or '.join(words)}: {err!r}")


def unused_pid():
    with open("/proc/sys/kernel/pid_max") as f:
        pid = int(f.read()) - 3
    while os.path.exists(f"/proc/{pid}"):
        pid -= 1
    return pid


def watched(pid, *args, seconds="700ms", directory=None):
    """Watches a target for a moment; gives the objects of the lines, the code, standard error."""
    got = run("--pid", pid, "--json", "--duration", seconds, *args)
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    return lines, got


# -- options

USAGE_ERRORS = {
    "no_target": [],
    "pid_with_letters": ["--pid", "12abc"],
    "pid_empty": ["--pid", ""],
    "pid_zero": ["--pid", "0"],
    "pid_negative": ["--pid", "-5"],
    "pid_plus": ["--pid", "+5"],
    "pid_space": ["--pid", " 5"],
    "pid_hex": ["--pid", "0x10"],
    "pid_huge": ["--pid", "99999999999999999999"],
    "pid_list_hole": ["--pid", "1,,2"],
    "pid_list_end": ["--pid", "1,"],
    "no_unit": ["--pid", "1", "--hold-threshold", "50"],
    "unknown_unit": ["--pid", "1", "--hold-threshold", "50xs"],
    "negative_duration": ["--pid", "1", "--hold-threshold", "-5ms"],
    "huge_duration": ["--pid", "1", "--pending-threshold", "99999999999999999999s"],
    "empty_duration": ["--pid", "1", "--duration", ""],
    "exact_no_duration": ["--pid", "1", "--exact=soon"],
    "shutdown_mode": ["--pid", "1", "--shutdown", "kill"],
    "nudge_sigkill": ["--pid", "1", "--nudge-signal", "KILL"],
    "nudge_sigstop": ["--pid", "1", "--nudge-signal", "SIGSTOP"],
    "nudge_unknown": ["--pid", "1", "--nudge-signal", "NUDGE"],
    "nudge_number": ["--pid", "1", "--nudge-signal", "99"],
    "listen_word": ["--pid", "1", "--listen", "here"],
    "listen_port": ["--pid", "1", "--listen", "127.0.0.1:99999"],
    "listen_address": ["--pid", "1", "--listen", "999.0.0.1:9469"],
    "overhead_negative": ["--pid", "1", "--max-overhead", "-1"],
    "overhead_word": ["--pid", "1", "--max-overhead", "much"],
    "view_without_terminal": ["--pid", "1", "--view"],
    "unknown_option": ["--pid", "1", "--frobnicate"],
    "unknown_command": ["frobnicate"],
    "stray_argument": ["--pid", "1", "stray"],
    "replay_without_file": ["replay"],
    "replay_two_files": ["replay", "a", "b"],
}


@pytest.mark.parametrize("args", USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_usage(args):
    refuse(run(*args), USAGE, what=" ".join(map(repr, args)))


def test_help_and_version():
    """--help and --version: 0, on standard output, every option of the README named."""
    got = run("--help")
    if got.returncode != 0 or got.stderr:
        raise Wrong(f"--help: {got.returncode} {got.stderr!r}")
    for option in ("--pid", "--node", "--dataflow", "--all", "--json", "--view", "--listen",
                   "--hold-threshold", "--warn-hold", "--token-threshold", "--pending-threshold",
                   "--grace", "--shutdown", "--nudge-signal", "--nudge-after", "--nudge-interval",
                   "--stop-dataflow-after", "--dora-cli", "--save-tokens", "--dry-run",
                   "--fail-on-warning", "--on-warning", "--on-action", "--exact", "--max-overhead",
                   "--record", "--duration"):
        if option not in got.stdout:
            raise Wrong(f"--help does not name {option}")
    got = run("--version")
    with open(os.path.join(TOP, "VERSION")) as f:
        version = f.read().strip()
    if got.returncode != 0 or version not in got.stdout:
        raise Wrong(f"--version: {got.returncode} {got.stdout!r}, want {version}")


# -- targets

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


# -- recordings

def test_replay_of_nothing(folder):
    refuse(run("replay", os.path.join(folder, "nothing")), (INTERNAL, USAGE, TARGET), "nothing")


def test_replay_of_garbage(folder):
    path = os.path.join(folder, "garbage")
    for data in (b"", b"x", os.urandom(1), os.urandom(4096), b"\0" * 4096):
        with open(path, "wb") as f:
            f.write(data)
        refuse(run("replay", path), (INTERNAL, USAGE), "garbage", "recording")


def test_replay_of_directory(folder):
    refuse(run("replay", folder), (INTERNAL, USAGE))


def test_replay_of_damaged(folder):
    """A cut or damaged recording: what can be read is shown, the rest is said, nothing crashes."""
    with python("import ctypes, time\ninput()\nctypes.PyDLL(None).usleep(300000)\n"
                "time.sleep(0.3)\n") as t:
        p = Probe(["--pid", t.pid], folder).start()
        p.wait_attached([t.pid])
        t.go()
        p.end(None, 10)
    with open(p.recording, "rb") as f:
        data = f.read()
    rng = random.Random(11)
    path = os.path.join(folder, "damaged")
    for n in range(40):
        bad = bytearray(data)
        if n % 2:
            bad = bad[:rng.randrange(len(bad))]
        else:
            for _ in range(rng.choice((1, 3, 30))):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        with open(path, "wb") as f:
            f.write(bad)
        got = run("replay", path, "--json", timeout=20)
        if got.returncode not in (OK, INTERNAL, USAGE):
            raise Wrong(f"damage {n}: exit code {got.returncode}: {got.stderr[-300:]!r}")
        if got.returncode and not got.stderr.strip():
            raise Wrong(f"damage {n}: exit code {got.returncode} without a word")
        for x in got.stdout.splitlines():
            json.loads(x)


def test_no_trace_left(folder):
    """Whenever the probe ends, also in mid-arming, the target's code is as it was."""
    code = ("import ctypes, threading\n"
            "f = ctypes.CDLL(None).pthread_cond_signal\n"
            "print(ctypes.cast(f, ctypes.c_void_p).value)\n"
            "def busy():\n while True: sum(range(20000))\n"
            "for _ in range(2): threading.Thread(target=busy).start()\n")
    with python(code) as t:
        addr = int(t.said())

        def bytes_there():
            with open(f"/proc/{t.pid}/mem", "rb") as f:
                f.seek(addr)
                return f.read(8)
        before = bytes_there()
        armed = 0
        for n in range(12):
            p = Probe(["--pid", t.pid, "--exact"], folder, record=False, name=f"probe{n}").start()
            if n % 4 == 0:
                wait_until(lambda: bytes_there() != before, 10, "the edge source")
            else:
                p.wait("node", 10)
                time.sleep(n % 4 * 0.01)
            armed += bytes_there() != before
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
            if bytes_there() != before:
                raise Wrong(f"run {n}: {before.hex()} before, {bytes_there().hex()} after")
        if armed < 3:
            raise Wrong(f"armed in {armed} runs only")


def test_replay_after_kill(folder):
    """A probe that is killed leaves all but the last second or so in its recording."""
    with python("import ctypes, time\ninput()\nctypes.PyDLL(None).usleep(300000)\n"
                "time.sleep(60)\n") as t:
        p = Probe(["--pid", t.pid], folder).start()
        p.wait_attached([t.pid])
        t.go()
        hold = p.wait("gil_hold", 10)[0]
        time.sleep(2.5)
        p.proc.kill()
        p.end(None, 10)
    got = run("replay", p.recording, "--json")
    holds = [x for x in map(json.loads, got.stdout.splitlines()) if x["event"] == "gil_hold"]
    if [x["start_ns"] for x in holds] != [hold["start_ns"]]:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}, holds {holds}, live {hold}")


# -- rights and features

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
    if "CAP_SYS_ADMIN" not in err or "unconfirmed" not in err:
        raise Wrong(f"does not say what is missing: {err!r}")
    if not any("CAP_SYS_ADMIN" in (x.get("reason") or "") for x in lines if x["event"] == "node"):
        raise Wrong(f"no node line has the reason: {[x for x in lines if x['event'] == 'node']}")


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
                              ("checkpoint_restore", OK, None)):
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
    wrap = hidden("/sys/kernel/btf")
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=wrap), FEATURE, "BTF")


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


if __name__ == "__main__":
    PYTEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
