#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The live view on real Python processes: what stands on the screen of a terminal emulator (tmux),
what keys do, and that the terminal is given back in every way of ending (a pty of our own)."""

import fcntl
import os
import pty
import re
import resource
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from refusals import OK, USAGE, Wrong, python  # noqa: E402
from flow import wait_until  # noqa: E402
from probe import BINARY, run  # noqa: E402

# Held for 8 s, free for 50 ms, again and again: long enough to be looked at.
HOLD = ("import ctypes, time\n"
        "def grab_the_gil(): ctypes.PyDLL(None).usleep(8000000)\n"
        "while True:\n time.sleep(0.05)\n grab_the_gil()\n")
IDLE = "import time\nwhile True: time.sleep(0.05)\n"
SHOW_CURSOR, LEAVE_SCREEN = b"\x1b[?25h", b"\x1b[?1049l"


def check(ok, words):
    if not ok:
        raise Wrong(words)


class Screen:
    """The probe in a tmux server of its own."""

    def __init__(self, folder, *args, width=80, height=24):
        if not shutil.which("tmux"):
            pytest.skip("no tmux here (tests/setup/packages.sh test)")
        self.socket = os.path.join(folder, "tmux")
        self.before, self.after = os.path.join(folder, "before"), os.path.join(folder, "after")
        probe = " ".join(map(shlex.quote, [BINARY, "--view", *map(str, args)]))
        script = (f"stty -g > {self.before}; {probe}; code=$?; stty -g > {self.after}; "
                  "echo \"ended with $code\"; exec sleep 600")
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR")}
        subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", "new-session", "-d",
                        "-x", str(width), "-y", str(height), "sh", "-c", script],
                       check=True, env=env, timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server", check=False)

    def tmux(self, *args, check=True):
        return subprocess.run(["tmux", "-S", self.socket, *args], check=check, timeout=20,
                              capture_output=True, text=True).stdout

    def key(self, *names):
        self.tmux("send-keys", *names)

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def wait(self, words, timeout=20):
        """Until the words (a pattern) stand in one line: gives it."""
        def look():
            return [x for x in self.lines() if re.search(words, x)]
        try:
            return wait_until(look, timeout, f"{words!r} on the screen")[0]
        except Exception as e:
            raise Wrong(f"{e}; the screen:\n" + "\n".join(self.lines())) from None

    def restored(self):
        self.wait("ended with 0")
        a, b = open(self.before).read(), open(self.after).read()
        check(a and a == b, f"modes before {a!r}, after {b!r}")
        check(self.tmux("display-message", "-p", "#{alternate_on}#{cursor_flag}").strip() == "01",
              "the screen or the cursor was not given back")


def test_shows_the_holder(folder):
    """80x24: function, file and since when; it goes on; q ends with 0 and the text summary."""
    with python(HOLD) as t, Screen(folder, "--pid", t.pid) as s:
        row = s.wait(rf"^>pid {t.pid} .*\d\.\ds grab_the_gil \(<str")
        lines = s.lines()
        check(len(lines) == 24 and lines[0].startswith(" dora-probe") and "q quit" in lines[23],
              "\n".join(lines))
        s.wait(r"^GIL +held for .* by .*tid " + str(t.pid))
        s.wait("the GIL has been held for")
        s.wait(rf"^>pid {t.pid} (?!{re.escape(row[10:30])})", 3)
        s.key("q")
        s.restored()
        s.wait("^Summary: ")
        s.wait("longest hold in grab_the_gil")


def test_pauses(folder):
    """p freezes the screen but not the probe; p again goes on."""
    with python(HOLD) as t, Screen(folder, "--pid", t.pid) as s:
        s.wait("grab_the_gil")
        s.key("p")
        s.wait("PAUSED")
        first = s.lines()
        time.sleep(1.5)
        check(s.lines() == first, "a paused screen changed")
        # The selection and the size may change, what is told may not.
        s.tmux("resize-window", "-x", "100", "-y", "30")
        s.wait("DATAFLOW")
        held = [re.search(r"\S+s grab_the_gil", "\n".join(x)).group() for x in (first, s.lines())]
        check(held[0] == held[1], f"{held} while paused")
        s.key("p")
        # The notice about the next hold came after the pause; the probe has been watching.
        wait_until(lambda: "PAUSED" not in s.lines()[0] and held[0] not in "\n".join(s.lines()), 5,
                   "the screen to go on")
        s.key("q")
        s.restored()


def test_resizes(folder):
    """From small to large and to nearly nothing: the whole window is used, nothing breaks."""
    with python(HOLD) as t, Screen(folder, "--pid", t.pid) as s:
        s.wait("grab_the_gil")
        for width, height in ((140, 50), (40, 8), (80, 24), (20, 5)):
            s.tmux("resize-window", "-x", str(width), "-y", str(height))
            if width == 20:
                s.wait("window too small")
                continue
            wait_until(lambda h=height: "q quit" in s.lines()[-1] and len(s.lines()) == h, 5,
                       f"keys in the last of {height} lines")
        s.tmux("resize-window", "-x", "80", "-y", "24")
        s.wait("grab_the_gil")
        s.key("q")
        s.restored()


def test_sorts_and_selects(folder):
    """The holder stands first; the arrows move the selection, and the detail goes with it."""
    with python(IDLE) as calm, python(HOLD) as busy:
        with Screen(folder, "--pid", f"{calm.pid},{busy.pid}") as s:
            s.wait(rf"^>pid {busy.pid} .*grab_the_gil")
            check([x[:len(f">pid {busy.pid}")] for x in s.lines()[2:4]] ==
                  [f">pid {busy.pid}", f" pid {calm.pid}"[:len(f">pid {busy.pid}")]],
                  "\n".join(s.lines()))
            s.key("Down")
            s.wait(rf"^>pid {calm.pid}")
            s.wait(rf"^pid {calm.pid}, Python 3")
            s.key("Up")
            s.wait(rf"^>pid {busy.pid}")
            s.key("Down", "x", "Escape")
            s.wait(rf"^>pid {calm.pid}")
            time.sleep(0.3)  # a lone Escape does not swallow the key that comes later
            s.key("q")
            s.restored()


def test_target_ends(folder):
    """The last target's exit ends the view, and is told in the text."""
    code = "import ctypes, time\ntime.sleep(5)\nctypes.PyDLL(None).usleep(1500000)\n"
    with python(code) as t, Screen(folder, "--pid", t.pid) as s:
        s.wait(rf"^>pid {t.pid}")
        s.restored()
        s.wait("^Summary: ")


# -- in a pty of our own

class Terminal:
    """The probe as the leader of a session with a pty; `read` collects what it writes."""

    def __init__(self, *args, env=None, rows=24, columns=80, prepare=None):
        e = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LINES", "COLUMNS")}
        e.update({"TERM": "xterm-256color", **(env or {})})
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.data = b""

        def begin():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE,
                        signal.SIGHUP):
                signal.signal(sig, signal.SIG_DFL)
            if prepare:
                prepare()
        self.proc = subprocess.Popen([BINARY, "--view", *map(str, args)], stdin=slave, stdout=slave,
                                     stderr=slave, env=e, start_new_session=True,
                                     preexec_fn=begin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        os.close(self.slave)
        if self.master >= 0:
            os.close(self.master)

    def pump(self, seconds=0.05):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.data += os.read(self.master, 65536)
            except OSError:
                pass

    def until(self, words, timeout=20):
        end = time.monotonic() + timeout
        while not re.search(words, self.data, re.S):
            self.pump()
            if time.monotonic() > end or self.proc.poll() is not None:
                raise Wrong(f"no {words!r} in {self.data[-600:]!r} ({self.proc.poll()})")

    def end(self, timeout=15):
        """Reads on until it ends: the exit code."""
        end = time.monotonic() + timeout
        while self.proc.poll() is None:
            self.pump()
            if time.monotonic() > end:
                raise Wrong("does not end")
        while select.select([self.master], [], [], 0)[0]:
            self.pump(0)
        return self.proc.returncode

    def modes(self):
        return termios.tcgetattr(self.slave)

    def restored(self, how):
        check(self.modes() == self.before, f"{how}: modes {self.before} became {self.modes()}")
        for what in (SHOW_CURSOR, LEAVE_SCREEN):
            check(what in self.data, f"{how}: {what!r} was not written: {self.data[-200:]!r}")
        left = self.data.rfind(LEAVE_SCREEN)
        check(b"\x1b[?1049h" not in self.data[left:] and self.data.count(b"\x1b[?1049h") >= 1,
              f"{how}: the screen was not left for good")


def key(b):
    return lambda s: os.write(s.master, b)


def sig(n):
    return lambda s: s.proc.send_signal(n)


# How it is told to end, its exit code, and whether there is a summary.
ENDINGS = {
    "q": (key(b"q"), OK, True),
    "ctrl_c": (key(b"\x03"), OK, True),
    "ctrl_backslash": (key(b"\x1c"), OK, True),
    "sigint": (sig(signal.SIGINT), OK, True),
    "sigterm": (sig(signal.SIGTERM), OK, True),
    "sigsegv": (sig(signal.SIGSEGV), -signal.SIGSEGV, False),
    "sigabrt": (sig(signal.SIGABRT), -signal.SIGABRT, False),
    "sigusr1": (sig(signal.SIGUSR1), -signal.SIGUSR1, False),
}


@pytest.mark.parametrize("how,want,summary", ENDINGS.values(), ids=ENDINGS.keys())
def test_ends_by(how, want, summary, request):
    name = request.node.callspec.id
    with python(HOLD) as t, Terminal("--pid", t.pid) as s:
        s.until(rb"grab_the_gil")
        check(s.modes() != s.before, "the modes of the terminal were not changed")
        how(s)
        code = s.end()
        check(code == want, f"exit code {code}, want {want}: {s.data[-300:]!r}")
        s.restored(name)
        after = s.data[s.data.rfind(LEAVE_SCREEN):]
        check((b"Summary" in after) == summary,
              f"summary {'missing' if summary else 'after a crash'}: {after!r}")


def test_terminal_goes():
    """The window is closed: the probe ends instead of spinning."""
    with python(HOLD) as t, Terminal("--pid", t.pid) as s:
        s.until(rb"grab_the_gil")
        os.close(s.slave)
        os.close(s.master)
        s.slave, s.master = os.open("/dev/null", os.O_RDONLY), -1
        try:
            s.proc.wait(10)
        except subprocess.TimeoutExpired:
            raise Wrong("still there 10 s after its terminal went") from None


def test_stopped_terminal(folder):
    """Nobody reads the terminal: the probe is not held up, and ends when it was told to."""
    rec = os.path.join(folder, "run.rec")
    with python(HOLD) as t:
        with Terminal("--pid", t.pid, "--duration", "6s", "--record", rec, rows=200, columns=400,
                      env={"TERM": "xterm-256color"}) as s:
            begin = time.monotonic()
            while s.proc.poll() is None and time.monotonic() - begin < 20:
                # Whole screens are asked for, until no more fits into the pty.
                if select.select([], [s.master], [], 0)[1]:
                    os.write(s.master, b"\x0c")
                time.sleep(0.05)
            took = time.monotonic() - begin
            check(s.proc.poll() is not None, "a terminal that nobody reads stops the probe")
            check(s.proc.returncode == OK, f"exit code {s.proc.returncode}")
            check(s.modes() == s.before, "modes not restored")
        check(took < 16, f"took {took:.1f} s for 6 s")
        # It watched all the time: ticks came every 10 ms.
        got = run("replay", rec, "--json")
        check('"grab_the_gil"' in got.stdout, got.stdout[-300:])


def test_suspends():
    """Ctrl-Z gives the terminal back, and takes it again when it goes on."""
    with python(HOLD) as t, Terminal("--pid", t.pid) as s:
        s.until(rb"grab_the_gil")

        def state():
            with open(f"/proc/{s.proc.pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0]
        os.write(s.master, b"\x1a")
        deadline = time.monotonic() + 5
        while state() != "T":
            s.pump()
            check(time.monotonic() < deadline, "Ctrl-Z does not stop it")
        s.pump()
        s.restored("stopped")
        s.data = b""
        s.proc.send_signal(signal.SIGCONT)
        s.until(rb"1049h.*dora-probe.*grab_the_gil")
        check(s.modes() != s.before, "the modes were not set again")
        os.write(s.master, b"q")
        check(s.end() == OK, "does not end with 0")
        s.restored("continued")


def test_five_frames():
    """No more than five frames a second, however many keys are pressed."""
    with python(HOLD) as t, Terminal("--pid", t.pid) as s:
        s.until(rb"grab_the_gil")
        s.data = b""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            # Each asks for a whole new screen, which begins with a clear.
            os.write(s.master, b"\x0c")
            s.pump(0.01)
        frames = s.data.count(b"\x1b[H\x1b[2J")
        check(8 <= frames <= 17, f"{frames} frames in 3 s")
        os.write(s.master, b"q")
        s.end()


def test_hostile_names():
    """Names that a target chooses cannot move the cursor, change colours or ring the bell."""
    code = ("import ctypes, time\n"
            "def f(): ctypes.PyDLL(None).usleep(8000000)\n"
            "n = 'ev\\x1b[31mil\\x07'\n"
            "q = {'co_qualname': n} if hasattr(f.__code__, 'co_qualname') else {}\n"
            "f.__code__ = f.__code__.replace(**q, co_name=n, "
            "co_filename='/x/\\x1b]0;title\\x07.py')\n"
            "time.sleep(0.5)\nwhile True:\n time.sleep(0.05)\n f()\n")
    with python(code) as t, Terminal("--pid", t.pid, env={"NO_COLOR": "1"}) as s:
        s.until(rb"ev.{1,4}\[31mil")
        os.write(s.master, b"q")
        check(s.end() == OK, "exit code")
        for bad in (b"\x1b[31m", b"\x07", b"\x1b]"):
            check(bad not in s.data, f"{bad!r} reached the terminal")
        s.restored("hostile")


def test_colours():
    """Colours where the terminal has them and NO_COLOR is unset."""
    for env, want in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "vt100"}, False)):
        with python(HOLD) as t, Terminal("--pid", t.pid, env=env) as s:
            s.until(rb"held for at least|has been held")
            end = time.monotonic() + 1
            while time.monotonic() < end:
                s.pump()
            os.write(s.master, b"q")
            check(s.end() == OK, "exit code")
            # The summary is text mode's own.
            seen = s.data[:s.data.rfind(b"Summary")]
            got = bool(re.search(rb"\x1b\[(?:\d+;)*3[1-7](?:;\d+)*m", seen.split(LEAVE_SCREEN)[0]))
            check(got == want, f"{env}: colours {got}, want {want}")


def test_messages_on_standard_error(folder):
    """What goes to standard error does not spoil the screen, and is there at the end."""
    # A recording that hits the limit of a file's size fails while the view is open.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with python(IDLE) as t:
        # Wide enough for the message, which begins with the recording's path.
        with Terminal("--pid", t.pid, "--record", os.path.join(folder, "run.rec"), prepare=limit, columns=160) as s:
            s.until(rb"the recording ends here")
            check(LEAVE_SCREEN not in s.data, "told before the end")
            os.write(s.master, b"q")
            s.end()
            s.restored("recording")
            check(b"the recording ends here" in s.data[s.data.rfind(LEAVE_SCREEN):],
                  "not told at the end")


def test_refused():
    """No terminal, or one without a movable cursor: 2, one sentence."""
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--view")
        check(got.returncode == USAGE and "terminal" in got.stderr and not got.stdout,
              f"{got.returncode} {got.stderr!r}")
        for term in ("dumb", "", "no-such-terminal-4711"):
            with Terminal("--pid", t.pid, env={"TERM": term}) as s:
                check(s.end() == USAGE, f"TERM={term!r}: exit code {s.proc.returncode}")
                check(b"TERM" in s.data and b"\x1b" not in s.data, f"TERM={term!r}: {s.data!r}")
                check(s.modes() == s.before, "modes changed")


if __name__ == "__main__":
    PYTEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
