#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs unit tests of another architecture in user emulation: `make ARCH=arm64 unit`.
#   emulated_units.sh RUNNER TEST...
# What needs the real kernel under it (another process' memory, pidfd, perf events, system call tracing of
# /proc) is skipped by name with its reason, and runs in the guests of make test-kernels instead.
set -uo pipefail
runner=$1
shift
why_not() {
	case "$1" in
	test_python | test_python_stacks | test_python_elf | test_python_loop | test_python_hostile | test_python_scrambled | \
		test_python_waits | test_python_dora_node | test_reader) echo "reads the memory and /proc of a live interpreter" ;;
	test_doctor) echo "tries the running kernel" ;;
	test_hands | test_hands_refused) echo "signals threads by pidfd" ;;
	test_hooks | test_hook_facts | test_doracli) echo "starts programs and reads their sessions and descriptors in /proc" ;;
	test_node_process) echo "reads live processes' environment in /proc" ;;
	esac
}
# What a single test cannot have in emulation it skips by itself: tests/unit/skipping.h.
export DP_TEST_EMULATED=1
failed=0
for t in "$@"; do
	name=$(basename "$t")
	why=$(why_not "$name")
	if [ -n "$why" ]; then
		echo "[  SKIPPED ] 1 test(s), $name: $why, which emulation does not show"
		continue
	fi
	# shellcheck disable=SC2086
	timeout 300 $runner "$t" || { echo "$name: exit code $?"; failed=1; }
done
exit $failed
