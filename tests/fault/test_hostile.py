#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Targets that keep the probe from reading them: what they cost a neighbour, the endpoint, SIGTERM."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from refusals import PYTHON, Target, Wrong, python  # noqa: E402
from flow import wait_until  # noqa: E402
from probe import Probe, run  # noqa: E402

MS = 1_000_000
SYMBOLS = 1 << 19

# A neighbour that holds the GIL for 300 ms, again and again.
NEIGHBOUR = ("import ctypes, time\nsleep = ctypes.PyDLL(None).usleep\ninput()\n"
             "while True:\n sleep(300000)\n time.sleep(0.2)\n")

# A Python whose interpreter is gone once it has got a line.
CUT_OFF = ("import ctypes, sys\n"
           "at = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))\n"
           "lib = ctypes.PyDLL({lib!r})\nlib.cut_off.argtypes = [ctypes.c_size_t, ctypes.c_size_t]\n"
           "input()\nlib.cut_off(at, {length})\n"
           "print('no userfaultfd', flush=True)\n")


def compiled(folder, *args):
    out = os.path.join(folder, "hostile" + (".so" if "-shared" in args else ""))
    subprocess.run(["cc", "-O1", *args, "-o", out, os.path.join(HERE, "targets", "hostile.c")],
                   check=True)
    return out


def cut_off(folder):
    """A Python that will be unreadable, and how to make it so."""
    if os.geteuid() != 0:
        pytest.skip("userfaultfd for faults in the kernel needs root")
    return python(CUT_OFF.format(lib=compiled(folder, "-shared", "-fPIC"), length=100_000))


def is_unreadable(pid):
    """Does a read of its interpreter wait? Asked of a process that can be killed."""
    reader = subprocess.Popen([PYTHON, "-c", f"""
import ctypes, re
class Part(ctypes.Structure): _fields_ = [('at', ctypes.c_void_p), ('len', ctypes.c_size_t)]
byte = ctypes.create_string_buffer(1)
for line in open('/proc/{pid}/maps'):
    m = re.match('([0-9a-f]+)-[0-9a-f]+ rw', line)
    if m:
        here, there = Part(ctypes.addressof(byte), 1), Part(int(m[1], 16), 1)
        ctypes.CDLL(None).process_vm_readv({pid}, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
"""])
    try:
        reader.wait(1)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        reader.kill()
        reader.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Scraper:
    """Asks for the metrics every 20 ms; the longest answer in ns."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.longest = self.count = 0
        self.last = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._end.wait(0.02):
            begin = time.monotonic_ns()
            try:
                with urllib.request.urlopen(self.url, timeout=10) as r:
                    self.last = r.read().decode()
            except OSError:
                continue
            self.longest = max(self.longest, time.monotonic_ns() - begin)
            self.count += 1

    def end(self):
        self._end.set()
        self._thread.join(11)
        return self.longest


def delays(p, pid, since):
    """How long after it became true each warning about the neighbour's hold came out, ns."""
    return [o["_arrival_ns"] - o["t_ns"] for o in p.events("warning", pid=pid, kind="gil_hold")
            if o["t_ns"] > since and not o["resolved"]]


def watch_both(folder, name, hostile, act):
    """Watches a neighbour and a target that turns hostile: delays, the longest scrape, the probe."""
    port = free_port()
    work = os.path.join(folder, name)
    os.mkdir(work)
    with python(NEIGHBOUR) as n:
        pids = [n.pid, *([hostile.pid] if hostile else [])]
        p = Probe(["--pid", ",".join(map(str, pids)), "--warn-hold", "100ms", "--listen",
                   f"127.0.0.1:{port}"], work).start()
        try:
            p.wait_attached([n.pid])
            scraper = Scraper(port)
            n.go()
            time.sleep(1)
            since = time.monotonic_ns()
            act()
            time.sleep(5)
            longest = scraper.end()
            begin = time.monotonic_ns()
            code = p.end(signal.SIGTERM, 5)
            ended = time.monotonic_ns() - begin
        finally:
            p.end(signal.SIGKILL)
    if code != 0:
        raise Wrong(f"{name}: exit code {code} after SIGTERM: {p.stderr()!r}")
    if ended > 1000 * MS:
        raise Wrong(f"{name}: SIGTERM took {ended / MS:.0f} ms")
    got = delays(p, n.pid, since)
    if len(got) < 6 or scraper.count < 50:
        raise Wrong(f"{name}: {len(got)} warnings, {scraper.count} scrapes in 5 s")
    return max(got), longest, p


def compare(folder, hostile, act):
    """Beside the hostile target a warning comes less than 100 ms later, no scrape takes 50 ms."""
    alone, scrape_alone, _ = watch_both(folder, "alone", None, lambda: None)
    beside, scrape, p = watch_both(folder, "beside", hostile, act)
    print(f"warning after {alone / MS:.1f} ms alone, {beside / MS:.1f} ms beside; "
          f"longest scrape {scrape_alone / MS:.1f} ms, {scrape / MS:.1f} ms")
    if beside - alone > 100 * MS:
        raise Wrong(f"a warning came {(beside - alone) / MS:.0f} ms later")
    if scrape - scrape_alone > 50 * MS:
        raise Wrong(f"a scrape took {(scrape - scrape_alone) / MS:.0f} ms longer")
    return p


def check_said(p, pid):
    """It is told, counted and exported that the target was given up on."""
    if f"{pid}: " not in p.stderr() or "left alone" not in p.stderr():
        raise Wrong(f"does not say that it has given up: {p.stderr()!r}")
    if not [o for o in p.events("loss") if o["reason"] == "read_stuck"]:
        raise Wrong("the loss is not counted")
    reasons = [o["reason"] or "" for o in p.events("node", pid=pid)]
    if reasons and not any("given up" in r or "left alone" in r for r in reasons):
        raise Wrong(f"its node line does not say it: {reasons}")


def test_memory_that_never_answers(folder):
    """The interpreter's memory lies behind a page fault handler that does not answer."""
    with cut_off(folder) as t:
        p = compare(folder, t, t.go)
        check_said(p, t.pid)


def test_memory_that_never_answers_at_start(folder):
    """The same before the probe comes: alone it is refused in a sentence, beside another it costs nothing."""
    with cut_off(folder) as t:
        t.go()
        wait_until(lambda: is_unreadable(t.pid), 10, "its memory to be out of reach")
        got = run("--pid", t.pid, "--json", "--duration", "8s")
        if got.returncode != 5 or "longer than 3 s" not in got.stderr:
            raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
        compare(folder, t, lambda: None)


def library(path):
    """An ELF file of 12.5 MB that is nothing but a table of symbols, none of which is looked for."""
    strings = b"\0" + b"_PyRuntimf\0" * 4096
    names = b"\0.symtab\0.strtab\0"
    at = 64 + 56
    table = at + len(strings) + len(names)
    table += -table % 8
    size = table + SYMBOLS * 24
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3,
                       {"x86_64": 62, "aarch64": 183}[os.uname().machine], 1, 0, 64,
                       size, 0, 64, 56, 1, 64, 4, 3)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    symbol = b"".join(struct.pack("<IBBHQQ", 1 + i * 11, 0x11, 0, 1, 0x1000 + i, 8)
                      for i in range(4096))
    sections = b"".join(struct.pack("<IIQQQQIIQQ", *s) for s in (
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, 2, 0, 0, table, SYMBOLS * 24, 2, 0, 8, 24),
        (9, 3, 0, 0, at, len(strings), 0, 0, 1, 0),
        (9, 3, 0, 0, at + len(strings), len(names), 0, 0, 1, 0)))
    with open(path, "wb") as f:
        f.write(head + strings + names)
        f.seek(table)
        for _ in range(SYMBOLS // 4096):
            f.write(symbol)
        f.write(sections)


def test_files_without_end(folder):
    """Ten libraries that are named as Python's own, with half a million symbols each."""
    paths = [os.path.join(folder, f"libpython3.1{i}.so.1.0") for i in range(10)]
    library(paths[0])
    for path in paths[1:]:
        with open(paths[0], "rb") as a, open(path, "wb") as b:
            b.write(a.read())
    config = ("node_id: hog\ndataflow_id: 018f0000-0000-7000-8000-000000000000\n"
              "run_config: {inputs: {}, outputs: []}\n"
              "daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:9\n")
    with Target(compiled(folder), *paths, env=dict(os.environ, DORA_NODE_CONFIG=config)) as t:
        t.said()
        p = compare(folder, t, lambda: None)
        check_said(p, t.pid)


if __name__ == "__main__":
    PYTEST = os.path.join(HERE, "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
