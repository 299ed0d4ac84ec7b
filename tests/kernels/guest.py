#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is tried on each kernel: the BPF programs one by one, a real Python, doctor, and with DORA_ENV a real
dora dataflow that is stopped in mid-hold. Prints `ok NAME`, `FAIL NAME: why` or `skip NAME: why` for each, and `figures …`
for the verifier's, and `time STEP` behind each step. The truth is the target's own; the probe is build/dora-probe, run as
a user does. The Python of the guest runs it, which has no pytest: test_kernels.py boots the guest and reads these lines.

    guest.py BUILD PYTHON [DORA_ENV]
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD, PYTHON = os.path.abspath(sys.argv[1]), sys.argv[2]
DORA_ENV = sys.argv[3] if len(sys.argv) > 3 else None
PROBE = os.path.join(BUILD, "dora-probe")
# An emulated processor does some hundredth of the work of a real one: everything may take longer,
# what is said must be as right. Times are compared with the target's own by the same clock.
PATIENCE_S = 180
results = []


def check(name, ok, why=""):
    results.append(bool(ok))
    print(f"ok {name}" if ok else f"FAIL {name}: {why}", flush=True)
    return bool(ok)


def release():
    """Version and patch level of the kernel."""
    return tuple(int(x) for x in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def lines(path):
    got = []
    try:
        with open(path) as f:
            for line in f:
                if line.endswith("\n"):
                    got.append(json.loads(line))
    except FileNotFoundError:
        pass
    return got


def wait_for(get, what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = get()
        if got:
            return got
        time.sleep(0.1)
    raise RuntimeError(f"no {what} within {seconds} s")


def start_probe(folder, name, *args):
    out, err = (os.path.join(folder, name + x) for x in (".json", ".err"))
    p = subprocess.Popen([PROBE, *map(str, args), "--json"], stdin=subprocess.DEVNULL,
                         stdout=open(out, "wb"), stderr=open(err, "wb"))

    def attached():
        if p.poll() is not None:
            raise RuntimeError(f"dora-probe ended with {p.returncode}: {open(err).read()[-500:]}")
        return [x for x in lines(out) if x["event"] == "node"]

    wait_for(attached, "node line")
    return p, out


def figures():
    tool = os.path.join(BUILD, "kernels", "verifier_figures")
    r = subprocess.run([tool, os.path.join(BUILD, "bpf", "dora_probe.o")], capture_output=True, text=True)
    print(r.stdout, end="")
    check("load", r.returncode == 0, r.stderr.strip()[-600:])


def kernel_tests():
    folder = os.path.join(BUILD, "bpftest")
    for name in sorted(os.listdir(folder)):
        if not re.fullmatch(r"test_\w+", name) or name == "test_dora":
            continue  # test_dora wants a dataflow: that comes below, through the whole agent
        r = subprocess.run([os.path.join(folder, name)], capture_output=True, text=True,
                           env={**os.environ, "DP_TEST_SLOW": "20"})
        text = r.stdout + r.stderr
        passed = re.findall(r"\[       OK \] (\w+)", text)
        bad = re.findall(r"\[  FAILED  \] (\w+)", text)
        why = " | ".join(x for x in text.splitlines() if "!=" in x or "rror" in x or "Fail" in x or " us from " in x)[:400]
        check(f"{name} ({len(passed)} tests)", r.returncode == 0 and passed, f"{sorted(set(bad))} {why}")


def python(folder):
    truth, go = os.path.join(folder, "truth"), os.path.join(folder, "go")
    script = os.path.join(HERE, "target.py")
    source = open(script).read().splitlines()
    t = subprocess.Popen([PYTHON, script, truth, go], stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: [x for x in lines(truth) if x["what"] == "rival"], "target")
        p, out = start_probe(folder, "python", "--pid", t.pid)
        time.sleep(1)
        open(go, "w").close()
        p.wait(PATIENCE_S)  # the probe ends with its last target
        t.wait(10)
    finally:
        if t.poll() is None:
            t.kill()
    told = {x["what"]: x for x in lines(truth)}
    said = lines(out)
    for name, native in (("c_hold", True), ("py_hold", False)):
        line = next(i for i, text in enumerate(source, 1) if text.endswith("# LINE " + name))
        begin, end, slept = (told[name + x]["t"] for x in ("_begin", "_end", "_slept"))
        holds = [x for x in said if x["event"] == "gil_hold" and x["start_ns"] < end and x["end_ns"] > begin and
                 x["duration_ns"] > 1_500_000_000]
        h = holds[0] if len(holds) == 1 else None
        keys = ("function", "line", "native", "precision", "duration_ns", "tid")
        check(f"{name}: one hold", h, [{k: x[k] for k in keys} for x in holds])
        if not h:
            continue
        # The body of a loop has two lines that cost.
        check(f"{name}: named", h["function"] == name and (h["line"] == line or not native) and
              h["file"] == script, (h["function"], h["file"], h["line"], line))
        check(f"{name}: told apart", h["native"] is native, h["native"])
        check(f"{name}: proven", h["precision"] in ("exact", "bounded", "at_least"), h["precision"])
        # The target's own line about its end is of the end or later, and the call took 2.5 s at least. Its line
        # about the begin is earlier than the GIL's last taking, since to write is to let go of the GIL.
        check(f"{name}: begins as it did", (h["start_lo_ns"] or 0) <= end - 2_500_000_000 and
              begin <= h["start_ns"] < end, (begin, h["start_lo_ns"], h["start_ns"], end))
        # The rival may get the GIL between the end of the call and the target's own line about it.
        check(f"{name}: ends as it did", (h["end_hi_ns"] or slept) >= begin + 2_500_000_000 and
              h["end_ns"] <= slept - 1_000_000_000, (begin, end, h["end_ns"], h["end_hi_ns"], slept))
    rival = told["rival"]["tid"]
    waits = [x for x in said if x["event"] == "gil_wait" and x["tid"] == rival and x["duration_ns"] > 1_500_000_000]
    check("waiter", waits and all(x["holder_tid"] == t.pid for x in waits), [x for x in said if x["event"] == "gil_wait"][:3])
    sig = [x for x in said if x["event"] == "signal" and x["signal"] == signal.SIGUSR1]
    check("signal", len(sig) == 1 and sig[0]["delivered_ns"] and sig[0]["handled_ns"] and sig[0]["sender_pid"] == t.pid, sig)
    check("exit", any(x["event"] == "exit" and x["code"] == 0 for x in said), said[-2:])
    # An emulated processor may need more than the first budget for finding the Python: that is said, and tried again.
    # Since 6.13 a program at a system call can be preempted, and its runs for others are skipped meanwhile: it
    # happens to programs that take an emulated processor's time, and is said (docs/kernels.md).
    told = {"read_stuck"} | ({"program_skipped"} if release() >= (6, 13) else set())
    skipped = sum(x["count"] for x in said if x["event"] == "loss" and x["reason"] == "program_skipped")
    print(f"note program_skipped {skipped}")
    lost = [x for x in said if x["event"] == "loss" and x["reason"] not in told]
    allowed = sum(x["count"] for x in said if x["event"] == "loss" and x["reason"] in told)
    check("nothing lost", not lost and said[-1]["records_lost"] <= allowed, (lost, said[-1]["records_lost"]))
    print("sources " + " ".join(said[0]["sources"]))


def doctor():
    r = subprocess.run([PROBE, "doctor"], capture_output=True, text=True)
    said = (r.stdout + r.stderr).strip()
    check("doctor", r.returncode == 0, said[-600:])
    # A refused program is no failure where another way is left: it is one here.
    check("doctor: programs", re.search(r"^ok +programs ", said, re.M), said[-600:])


FLOW = """nodes:
  - id: camera
    path: {demo}/camera.py
    inputs: {{tick: dora/timer/millis/100}}
    outputs: [image]
  - id: detector
    path: {demo}/detector.py
    inputs: {{image: camera/image}}
    env: {{DEMO_GO: {folder}/go, DEMO_STUCK: "40"}}
"""


def dora(folder):
    """A receiver stuck in a C call over Stop: killed by the daemon's SIGTERM at 10 s, said before."""
    bin_dir = os.path.join(DORA_ENV, "bin")
    demo = os.path.join(TOP, "tests", "demo")
    env = {**os.environ, "PATH": bin_dir + ":" + os.environ["PATH"], "HOME": folder}
    with open(os.path.join(folder, "flow.yml"), "w") as f:
        f.write(FLOW.format(demo=demo, folder=folder))
    log = open(os.path.join(folder, "log"), "wb")
    # A process that a shell starts in the background ignores SIGINT, and so would its children.
    run = subprocess.Popen(["env", "--default-signal=INT,QUIT,TERM", os.path.join(bin_dir, "dora"), "run",
                            os.path.join(folder, "flow.yml")], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                           stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    p, out = None, os.path.join(folder, "dora.json")
    try:
        p, out = start_probe(folder, "dora", "--node", "detector", "--token-threshold", "500ms")

        def flows():
            return {x["node"] for x in lines(out) if x["event"] == "node" and x["tokens_observable"]}

        wait_for(lambda: "detector" in flows(), "detector with tokens")
        wait_for(lambda: b"detector ready" in open(log.name, "rb").read(), "detector")
        time.sleep(6)
        open(os.path.join(folder, "go"), "w").close()
        wait_for(lambda: [x for x in lines(out) if x["event"] == "warning" and x["kind"] == "gil_hold"], "warning")
        time.sleep(3)
        asked = time.monotonic_ns()
        run.send_signal(signal.SIGINT)
        end = wait_for(lambda: [x for x in lines(out) if x["event"] == "exit"], "exit")[0]
    except RuntimeError:
        print("said", [(x["event"], x.get("node"), x["t_ns"]) for x in lines(out)][-12:], "dora run:", run.poll())
        print(open(log.name, errors="replace").read()[-1500:])
        raise
    finally:
        if p and p.poll() is None:
            p.send_signal(signal.SIGINT)
            p.wait(20)
        if run.poll() is None:
            time.sleep(2)
            os.killpg(run.pid, signal.SIGKILL)
    said = lines(out)
    stop = [x for x in said if x["event"] == "stop" and x["reason"] == "stop"]
    check("dora: Stop in mid-hold", stop and stop[0]["t_ns"] > asked, stop)
    check("dora: deadline", stop and abs(stop[0]["deadline_ns"] - stop[0]["t_ns"] - 10_000_000_000) < 1e6, stop)
    keys = ("t_ns", "kind", "cause", "function", "line", "resolved")
    warned = [{k: x[k] for k in keys} for x in said if x["event"] == "warning"]
    check("dora: named", any(x["kind"] == "gil_hold" and x["cause"] == "gil_native" and
                             x["function"] == "wait_for_device" for x in warned), warned)
    check("dora: token pending", any(x["event"] == "warning" and x["kind"] == "token_pending" and
                                     x["cause"] == "gil_native" for x in said), "")
    check("dora: killed at the end of the grace", end["grace_kill"] and end["signal"] == signal.SIGTERM and
          end["cause"] == "gil_native", end)


def main():
    steps = [("figures", figures), ("kernel_tests", kernel_tests), ("doctor", doctor)]
    with tempfile.TemporaryDirectory() as folder:
        steps.append(("python", lambda: python(folder)))
        if DORA_ENV:
            steps.append(("dora", lambda: dora(folder)))
        for name, step in steps:
            begin = time.monotonic()
            try:
                step()
            except Exception as e:  # the table must show the rest too
                check(name, False, f"{type(e).__name__}: {e}")
            print(f"time {name} {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
