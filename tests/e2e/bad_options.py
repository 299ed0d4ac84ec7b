# SPDX-License-Identifier: MIT
"""Wrong options, and what help says."""

import os

import pytest

from flow import TOP
from probe import run
from refusals import USAGE, Wrong, refuse

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
