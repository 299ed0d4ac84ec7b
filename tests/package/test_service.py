# SPDX-License-Identifier: MIT
"""What a service manager hears of a real run: ready only once it watches, signs of life, and the end."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBE = os.path.join(TOP, "build", "dora-probe")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to load BPF programs")
def test_ready_alive_and_stopping_are_told(tmp_path):
    path = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(20)
    target = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    lines = open(tmp_path / "lines", "wb")
    probe = subprocess.Popen([PROBE, "--pid", str(target.pid), "--json", "--on-warning", "env"], stdout=lines,
                             env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"})
    try:
        assert manager.recv(64) == b"READY=1"
        began = time.monotonic()
        assert [manager.recv(64) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        # The first comes at once, the next two 0.3 s apart each.
        assert time.monotonic() - began >= 0.5
        probe.send_signal(signal.SIGINT)
        heard = b"WATCHDOG=1"
        while heard == b"WATCHDOG=1":
            heard = manager.recv(64)
        assert heard == b"STOPPING=1"
        assert probe.wait(10) == 0
    finally:
        for p in (probe, target):
            if p.poll() is None:
                p.kill()
            p.wait()


def test_a_run_that_cannot_start_is_never_ready(tmp_path):
    path = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.setblocking(False)
    r = subprocess.run([PROBE, "--pid", "4194304"], capture_output=True, env={**os.environ, "NOTIFY_SOCKET": path})
    assert r.returncode != 0
    with pytest.raises(BlockingIOError):
        manager.recv(64)
