# SPDX-License-Identifier: MIT
"""What a scenario is: a function of a Test, which pytest takes for a test (conftest.py)."""

import os
import random
import signal
import traceback

import checks
from checks import MS, S
from flow import Flow, FlowError, now, receiver, sender
from probe import Probe, ProbeEnded

REGISTRY = {}


class Skip(Exception):
    """The scenario does not apply here; says why."""


def scenario(dora=None, alone=False, limit=45, default=True):
    """dora: versions it applies to (None: all). alone: never beside another scenario.
    default: False: only where it is asked for by name or with --all."""
    def register(f):
        REGISTRY[f.__name__] = f
        f.dora, f.alone, f.limit, f.default = dora, alone, limit, default
        f.__test__ = True  # whatever its name
        return f
    return register


class Test:
    """One run of one scenario: its dataflow, its probe, what was found wrong."""

    def __init__(self, name, version, seed, directory):
        self.name, self.version = name, version
        self.rng = random.Random(f"{seed}/{name}/{version}")
        self.dir = directory
        self.flows, self.probes = [], []
        self.problems = []
        self.facts = {}  # figures worth printing beside the verdict
        self.allowed_codes = (0,)
        self.may_lose = False

    # -- the surroundings

    def flow(self, *nodes, wait=True, **kw):
        sub = os.path.join(self.dir, f"flow{len(self.flows)}")
        os.mkdir(sub)
        flow = Flow(kw.pop("version", self.version), list(nodes), sub, **kw)
        self.flows.append(flow)
        flow.start(wait)
        return flow

    def probe(self, *args, pids=None, wait=True, **kw):
        """Starts the probe on the nodes of the first dataflow (or as args say) and waits until it
        is attached to them."""
        flow = self.flows[0] if self.flows else None
        if pids is None:
            pids = [p for p in flow.pids().values()]
        target = ["--pid", ",".join(map(str, pids))] if pids else []
        probe = Probe([*target, *args], self.dir, name=f"probe{len(self.probes)}", **kw)
        self.probes.append(probe)
        probe.start()
        for f in self.flows:
            f.readers.append(probe.proc.pid)
        if wait:
            probe.wait_attached(pids)
        return probe

    # -- the verdict

    def check(self, problems):
        self.problems += problems

    def expect(self, true, sentence):
        if not true:
            self.problems.append(sentence)

    def common(self, probe):
        """What must hold for every run, whatever the scenario."""
        if probe.code not in self.allowed_codes:
            self.problems.append(f"exit code {probe.code}, want {self.allowed_codes}: "
                                 f"{probe.stderr().strip()[-400:]}")
        if not probe.json_lines:
            return
        raw = probe.all()
        self.check(checks.check_schema(raw))
        lines = probe.events()
        if not self.may_lose:
            # Samples are skipped where the machine is busy, and a page of the target may be absent
            # for a moment: other sources make up for these. Nothing else may be lost.
            self.check([f"loss: {o['reason']} {o['total']}"
                        for o in checks.lines_of(lines, "loss")
                        if o["reason"] not in ("sample_skipped", "program_skipped")])
            self.check(checks.check_summary(lines))
        if probe.recording:
            got = probe.replay("--json")
            # With --fail-on-warning a replay has the live run's code too.
            self.check(checks.check_replay(probe.output(), got.stdout, got.returncode,
                                           got.stderr.decode(errors="replace")))

    def cleanup(self):
        for probe in self.probes:
            if probe.proc and probe.proc.poll() is None:
                probe.end(signal.SIGKILL)
        for flow in self.flows:
            flow.cleanup()

    def tail(self):
        """The last words of everybody, for a failure."""
        out = []
        for probe in self.probes:
            if os.path.exists(probe.stderr_path):
                out.append("probe, standard error: " + probe.stderr().strip()[-600:])
        return out


def judge(t, function, args):
    """Runs a scenario on its Test, checks what must hold for all, cleans up: (verdict, sentences).
    Verdict: pass, fail or skip."""
    verdict, problems = "fail", []
    try:
        function(**args)
        for probe in t.probes:
            if probe.code is None:
                probe.end()
            t.common(probe)
        problems = t.problems
        verdict = "fail" if problems else "pass"
    except Skip as e:
        verdict, problems = "skip", [str(e)]
    except (FlowError, ProbeEnded) as e:
        problems = t.problems + [str(e)]
    except Exception:
        problems = t.problems + ["the test itself broke: " + traceback.format_exc()]
    finally:
        try:
            t.cleanup()
        except Exception:
            problems = problems + ["clean-up broke: " + traceback.format_exc()]
            verdict = "fail"
    if verdict == "fail":
        problems = problems[:25] + t.tail()
    return verdict, problems


__all__ = ["MS", "S", "Probe", "Skip", "checks", "now", "receiver", "scenario", "sender"]
