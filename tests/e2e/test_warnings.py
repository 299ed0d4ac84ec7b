# SPDX-License-Identifier: MIT
"""Warnings: when they are raised and resolved, and what they say; the exit code for them."""

import os
import subprocess

from flow import wait_until
from ordinary import BEFORE, HAS_TOKENS, KINDS, check_holds, finish, no_warnings, raised, standard
from scenario import MS, S, checks, now, receiver, scenario, sender


@scenario()
def warning_hold(t):
    """A hold of seconds: warned about while it lasts, by steps, and resolved."""
    length = t.rng.uniform(2.3, 2.7)
    how = t.rng.choice(KINDS)
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": how, "for": length}],
                                     companion=t.rng.choice((0, 0.005))))
    probe = t.probe("--token-threshold", "0s", "--warn-hold", "500ms",
                    "--pending-threshold", "1s")
    flow.go()
    hold = flow.wait_said("recv", "hold", 20)[0]
    pid = flow.pid("recv")
    wait_until(lambda: now() > hold["t1"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    place = {"function": hold["function"], "line": hold["line"], "tid": hold["tid"]}
    t.check(checks.check_warning(lines, "gil_hold", pid, hold["t0"], hold["t1"], 500 * MS,
                                 ("gil_native",), place))
    raised = [o for o in checks.lines_of(lines, "warning", kind="gil_hold", pid=pid)
              if not o["resolved"]]
    if raised:
        t.expect(raised[0]["severity"] == "notice", f"first severity {raised[0]['severity']}")
    if hold["t1"] - hold["t0"] > 2_200 * MS:
        t.expect("warning" in {o["severity"] for o in raised}, "no step to `warning` at 4 x")
    t.expect(len(raised) <= 3, f"{len(raised)} warnings for one hold")
    if t.version in HAS_TOKENS:
        # The first token that was stuck came within a period of the hold's start.
        t.check(checks.check_warning(lines, "token_pending", pid, hold["t0"], hold["t1"], S,
                                     ("gil_native",), place, late=300 * MS, early=BEFORE))
        t.check(checks.check_causes(lines, "recv", S, ("gil_native",), few=1))
    else:
        t.check(checks.check_no_warnings(lines, ("token_pending",)))


@scenario()
def warning_again(t):
    """A second hold at the same line while the first one's warning stands, short ones elsewhere."""
    flow = t.flow(sender(), receiver(plan=[
        {"at": 0.4, "do": "usleep", "for": 0.9}, {"at": 1.9, "do": "usleep", "for": 0.9},
        {"at": 3.0, "do": "sum", "for": 0.15}, {"at": 3.4, "do": "sum", "for": 0.15}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    last = flow.said("recv", "hold")[1]
    wait_until(lambda: now() > last["t1"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    finish(t, flow, probe)
    lines = probe.events()
    pid = flow.pid("recv")
    for h in flow.said("recv", "hold")[:2]:
        t.check(checks.check_warning(lines, "gil_hold", pid, h["t0"], h["t1"], 500 * MS,
                                     ("gil_native",), {"function": "hold_usleep", "tid": h["tid"]}))
    # On a busy machine the short ones may have taken long enough to be warned of themselves.
    long = {h["function"] for h in flow.said("recv", "hold") if h["t1"] - h["t0"] > 450 * MS}
    for o in checks.lines_of(lines, "warning", kind="gil_hold", pid=pid, resolved=True):
        t.expect(o["function"] in long, f"resolved: {o['function']!r}")


FILL = """
import mmap, os, time
f = os.open("/dev/shm/fill", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 16 << 20)
m = mmap.mmap(f, 16 << 20)
time.sleep(2.5)
for i in range(0, 16 << 20, 4096):
    m[i] = 1
    if i == 3952 << 10:
        time.sleep(2.5)
"""


@scenario()
def shared_memory_full(t):
    """A process fills a /dev/shm of 4 MiB of its own: warned of, and its SIGBUS explained."""
    script = os.path.join(t.dir, "fill.py")
    with open(script, "w") as f:
        f.write(FILL)
    p = subprocess.Popen(["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=4m tmpfs /dev/shm && "
                          f"exec /usr/bin/python3 {script}"])
    try:
        wait_until(lambda: b"fill.py" in open(f"/proc/{p.pid}/cmdline", "rb").read() and
                   b"unshare" not in open(f"/proc/{p.pid}/cmdline", "rb").read() and
                   os.readlink(f"/proc/{p.pid}/exe").count("python"), 5, "the process")
        probe = t.probe(pids=[p.pid])
        p.wait(15)
        probe.end(None, 10)
    finally:
        p.kill()
    lines = probe.events()
    said = raised(lines, "shm_full", p.pid)
    t.expect(said and "4.0 MiB" in said[0]["advice"], f"warnings {said}")
    t.check(checks.check_exit(lines, p.pid, code=None, signal=7, grace_kill=False,
                              explanation=lambda v: v and "/dev/shm is full" in v))


@scenario(dora=HAS_TOKENS)
def references_kept(t):
    """Arrays are kept for a while although the node polls on: not the GIL's fault."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "keep", "for": 2.2}]))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    kept = flow.wait_said("recv", "keep_end", 20)[0]
    began = flow.said("recv", "keep_begin")[0]
    wait_until(lambda: now() > kept["t"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    t.check(checks.check_causes(lines, "recv", 600 * MS, ("reference_kept",)))
    t.check(checks.check_warning(lines, "token_pending", flow.pid("recv"), began["t"], kept["t0"],
                                 500 * MS, ("reference_kept",), late=300 * MS, early=BEFORE))
    no_warnings(t, lines, flow, kinds=("gil_hold", "deadlock"))


@scenario()
def stop_in_hold(t):
    """Stop in mid-hold: the node leaves late but in time, its old tokens are given up."""
    before, after = t.rng.uniform(1.5, 2), t.rng.uniform(1.5, 2)
    how = t.rng.choice(("usleep", "sum"))
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": how, "for": before + after}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + int((0.35 + before) * S), 10, "middle of the hold")
    flow.stop()
    finish(t, flow, probe, stop=False)
    lines = probe.events()
    recv, send = flow.pid("recv"), flow.pid("send")
    hold = flow.said("recv", "hold")[0]
    check_holds(t, lines, flow, "recv", probe.attached_ns)
    check_holds(t, lines, flow, "send", probe.attached_ns)
    sigkill = t.version.startswith("0.3.")
    t.check(checks.check_stop(lines, recv, flow.stop_ns, deadline=(15 if sigkill else 10) * S,
                              kill_signal=("KILL", "SIGKILL", 9) if sigkill
                              else ("TERM", "SIGTERM", 15)))
    t.check(checks.check_exit(lines, recv, code=0, signal=None, grace_kill=False, saved=False,
                              since_stop_ns=lambda v: v and hold["t1"] - flow.stop_ns <= v + 20 * MS))
    t.check(checks.check_exit(lines, send, code=0, grace_kill=False))
    share = [o["gil_share"] for o in checks.lines_of(lines, "exit", pid=recv)]
    t.expect(share and share[0] is not None and share[0] > 0.6, f"gil_share of recv {share}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    flow.stop_ns - 100 * MS))
        given_up = [o for o in checks.lines_of(lines, "token", receiver="recv")
                    if o["state"] == "abandoned"]
        # Ten a second from Stop + 0.1 s on, of those that arrived more than a second earlier.
        t.expect(len(given_up) >= 3, f"{len(given_up)} tokens abandoned")
        t.check(checks.check_exit(lines, recv, tokens_abandoned=len(given_up)))
        # After the hold the node drops its dora object, which keeps the GIL in dora's own code: the
        # cause is the one that has most of the token's life, and within 100 ms of half, either.
        for o in given_up:
            own = hold["t1"] - o["delivered_ns"]
            dora = o["t_ns"] - hold["t1"]
            want = [c for c, ahead in (("gil_native", own - dora), ("dora_internal", dora - own))
                    if ahead > -200 * MS]
            t.expect(o["cause"] in want, f"abandoned token: cause {o['cause']!r}, want {want}: "
                     f"{own / MS:.0f} ms in the hold, {dora / MS:.0f} ms after it")
        closed = flow.closed_by_sender()
        # What was abandoned never comes back, so the sender must close at least as many regions.
        t.expect(closed is None or closed >= len(given_up),
                 f"{len(given_up)} tokens abandoned, the sender closed {closed} regions")
        t.facts["tokens abandoned"] = len(given_up)


@scenario()
def fail_on_warning(t):
    """--fail-on-warning: 10 with a warning, 0 without."""
    flow = t.flow(sender(), receiver(plan=[{"at": 1.6, "do": "usleep", "for": 0.9}]))
    calm = t.probe("--fail-on-warning", "--duration", "500ms")
    calm.end(None, 5)
    t.expect(calm.code == 0, f"without a warning: {calm.code}")
    probe = t.probe("--fail-on-warning")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 200 * MS, 5, "the time after the hold")
    flow.stop()
    flow.wait_gone(10)
    probe.end(None, 10)
    t.allowed_codes = (0, 10)
    t.expect(probe.code == 10, f"with a warning: {probe.code}")
