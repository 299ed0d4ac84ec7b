# SPDX-License-Identifier: MIT
"""The built binary as a user runs it: started, read line by line, ended, replayed."""

import json
import os
import signal
import subprocess
import threading
import time

import schema
from flow import DEFAULT_SIGNALS, TOP, wait_until

now = time.monotonic_ns
BINARY = os.environ.get("DORA_PROBE", os.path.join(TOP, "build", "dora-probe"))


class Line:
    """Parsed when it is looked at: at high rates the reader must not hold the probe up."""

    def __init__(self, raw, arrival_ns):
        self.raw = raw
        self.arrival_ns = arrival_ns
        self._parsed = None

    def _parse(self):
        if self._parsed is None:
            try:
                o = json.loads(self.raw)
                self._parsed = (o, None) if isinstance(o, dict) else (None, "no object")
            except ValueError as e:
                self._parsed = (None, str(e))
        return self._parsed

    @property
    def obj(self):
        return self._parse()[0]

    @property
    def error(self):
        return self._parse()[1]


class Probe:
    def __init__(self, args, workdir, json_lines=True, record=True, name="probe", binary=None,
                 wrap=()):
        self.dir = workdir
        self.json_lines = json_lines
        self.recording = os.path.join(workdir, name + ".rec") if record else None
        self.stderr_path = os.path.join(workdir, name + ".err")
        self.args = [*DEFAULT_SIGNALS, *wrap, binary or BINARY, *map(str, args)]
        if json_lines:
            self.args.append("--json")
        if self.recording:
            self.args += ["--record", self.recording]
        self.lines = []
        self.proc = None
        self.code = None
        self._lock = threading.Lock()

    def start(self):
        self.begin_ns = now()
        with open(self.stderr_path, "wb") as err:
            self.proc = subprocess.Popen(self.args, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=err, cwd=self.dir,
                                         start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self):
        with open(os.path.join(self.dir, "probe.out"), "ab") as copy:
            for raw in self.proc.stdout:
                line = Line(raw, now())
                copy.write(raw)
                with self._lock:
                    self.lines.append(line)

    def all(self):
        with self._lock:
            return list(self.lines)

    def events(self, event=None, **fields):
        """Objects of the lines so far; each carries its arrival as `_arrival_ns`."""
        out = []
        for line in self.all():
            o = line.obj
            if not isinstance(o, dict) or (event and o.get("event") != event):
                continue
            if all(o.get(k) == v for k, v in fields.items()):
                # A missing field is the schema check's business; the others see a null.
                blank = dict.fromkeys(schema.EVENTS.get(o.get("event"), ()))
                out.append({**blank, **o, "_arrival_ns": line.arrival_ns})
        return out

    def wait(self, event, timeout, check=None, **fields):
        def look():
            got = [o for o in self.events(event, **fields) if check is None or check(o)]
            if not got and self.proc.poll() is not None:
                self._reader.join(2)
                got = [o for o in self.events(event, **fields) if check is None or check(o)]
                if not got:
                    raise ProbeEnded(f"ended with {self.proc.returncode} before {event} "
                                     f"{fields or ''}: {self.stderr().strip()[-400:]}")
            return got
        return wait_until(look, timeout, f"line `{event}` {fields or ''} of the probe")

    def wait_attached(self, pids, timeout=10):
        """Start line, and a node line for each pid."""
        self.wait("start", timeout)
        for pid in pids:
            self.wait("node", timeout, pid=pid)
        self.attached_ns = now()

    def stderr(self):
        with open(self.stderr_path, errors="replace") as f:
            return f.read()

    def end(self, sig=signal.SIGINT, timeout=15):
        """Sends a signal (None: just waits) and gives the exit code."""
        if sig is not None and self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            self.code = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait(5)
            self.code = "timeout"
        self._reader.join(5)
        return self.code

    def output(self):
        return b"".join(line.raw for line in self.all())

    def replay(self, *args, timeout=60):
        return subprocess.run([BINARY, "replay", self.recording, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout)


class ProbeEnded(Exception):
    """The probe ended although the test had more to see."""


def run(*args, timeout=20, wrap=(), binary=None, env=None, stdin=subprocess.DEVNULL):
    """One short run of the binary: CompletedProcess with text."""
    e = dict(os.environ)
    e.update(env or {})
    return subprocess.run([*DEFAULT_SIGNALS, *wrap, binary or BINARY, *map(str, args)],
                          stdin=stdin, text=True,
                          capture_output=True, timeout=timeout, env=e, errors="replace",
                          start_new_session=True)
