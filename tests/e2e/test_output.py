# SPDX-License-Identifier: MIT
"""What a run leaves behind: lines of text, and a recording that is replayed with other thresholds."""

import json
import os
import pty
import select
import subprocess

from flow import wait_until
from ordinary import check_holds, draw_holds, finish
from probe import BINARY
from scenario import MS, checks, now, receiver, scenario, sender


@scenario()
def text_output(t):
    """Text for a person: node, function, line, numbers with units; colour only on a terminal."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.8, "do": "usleep", "for": 1.2}]))
    probe = t.probe(json_lines=False, record=False, wait=False)
    e = dict(os.environ, TERM="xterm")
    e.pop("NO_COLOR", None)
    outs = {}
    procs = []
    for name, env in (("colour", e), ("no colour", dict(e, NO_COLOR="1"))):
        master, slave = pty.openpty()
        procs.append((name, master, subprocess.Popen(
            [BINARY, "--pid", str(flow.pid("recv"))], stdin=subprocess.DEVNULL, stdout=slave,
            stderr=subprocess.STDOUT, env=env, start_new_session=True)))
        os.close(slave)
        outs[name] = b""

    def attached():
        for name, master, _ in procs:
            if select.select([master], [], [], 0)[0]:
                outs[name] += os.read(master, 65536)
        return all(b"recv" in text for text in [probe.output(), *outs.values()])
    wait_until(attached, 15, "line about the node of each probe")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 300 * MS, 5, "the time after the hold")
    flow.stop()
    flow.wait_gone(10)
    for name, master, proc in procs:
        data = b""
        try:
            while True:
                got = os.read(master, 65536)
                if not got:
                    break
                data += got
        except OSError:  # the terminal's other side is closed
            pass
        os.close(master)
        t.expect(proc.wait(10) == 0, f"on a terminal: ended with {proc.returncode}")
        outs[name] += data
    probe.end(None, 10)
    text = probe.output().decode(errors="replace")
    for want in ("hold_usleep", "holds.py", f":{hold['line']}", "recv"):
        t.expect(want in text, f"the text lacks {want!r}")
    t.expect("\033[" not in text, "escape sequences in a pipe")
    t.expect(b"\033[" in outs["colour"], "no colour on a terminal")
    t.expect(b"\033[" not in outs["no colour"], "colour in spite of NO_COLOR")
    t.expect(not [w for w in text.split("\n") if len(w) > 100], "a line of more than 100 letters")


@scenario(dora=("0.5.0",))
def replay_other_thresholds(t):
    """A recording replayed with other thresholds finds what the live run did not print."""
    flow = t.flow(sender(), receiver(plan=draw_holds(t.rng, ("usleep", "sum"), 3, longest=0.4)))
    probe = t.probe("--hold-threshold", "10s", "--token-threshold", "10s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    finish(t, flow, probe)
    t.expect(not [o for o in probe.events("gil_hold")], "a hold below the threshold was printed")
    got = probe.replay("--json", "--hold-threshold", "100ms", "--token-threshold", "0s")
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    check_holds(t, lines, flow, "recv", probe.attached_ns, threshold=100 * MS)
    t.expect(checks.lines_of(lines, "token"), "the replay prints no tokens")
    again = probe.replay("--json", "--hold-threshold", "100ms", "--token-threshold", "0s")
    t.expect(again.stdout == got.stdout, "two replays differ")
    text = probe.replay()
    t.expect(text.returncode == 0 and text.stdout, f"replay as text: {text.returncode}")
    if os.geteuid() == 0 and os.path.exists("/usr/bin/setpriv"):
        os.chmod(t.dir, 0o755)
        os.chmod(probe.recording, 0o644)
        nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                 "--inh-caps=-all", "--bounding-set=-all", BINARY, "replay",
                                 probe.recording, "--json"], capture_output=True, timeout=30)
        same = probe.replay("--json")
        t.expect(nobody.stdout == same.stdout and nobody.returncode == 0,
                 f"replay without privileges: {nobody.returncode} {nobody.stderr[-200:]!r}")
