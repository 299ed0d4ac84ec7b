#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make asan`, `make tsan`: tests with a build that has sanitizers in it, which lies in a folder of its own.
#   sanitized.sh asan|asan-unit|tsan BUILD
# A report of a sanitizer is a failure wherever it comes from, a child or a program that a test expects to
# fail too: reports go to files, and every file counts.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# = 2 ] || { echo "usage: sanitized.sh asan|asan-unit|tsan BUILD" >&2; exit 2; }
kind=$1 build=$PWD/$2

export DP_TEST_LOG=$2/test-log
rm -rf "$build/reports"
# Some tests run the probe as another user.
mkdir -p "$build/reports" "$DP_TEST_LOG"
chmod 1777 "$build/reports"
export DORA_PROBE=$build/dora-probe DORA_PROBE_TEST_DORA=$PWD/build/env/0.5.0
export ASAN_OPTIONS=log_path=$build/reports/asan:detect_stack_use_after_return=1
export UBSAN_OPTIONS=log_path=$build/reports/ubsan:print_stacktrace=1
export TSAN_OPTIONS=log_path=$build/reports/tsan:second_deadlock_stack=1
. tests/setup/parts.sh

programs() { # FOLDER [PATTERN]: runs the test programs there, one after the other
	local t rc=0
	for t in "$build/$1"/test_${2:-*}; do
		[ -x "$t" ] || continue
		# Up to clang 17 the thread sanitizer's map has no room for 32 random bits of addresses.
		setarch -R "$t" || rc=1
	done
	return $rc
}

no_reports() {
	local f=0 file
	for file in "$build/reports"/*.*; do
		[ -e "$file" ] || continue
		echo "$file"
		cat "$file"
		f=$((f + 1))
	done
	echo "$((f == 0)) passed, $f failed"
	return $((f != 0))
}

case "$kind" in
asan-unit)
	part unit programs unit
	part recordings tests/recordings/test_recordings.py
	;;
asan)
	part unit programs unit
	part recordings tests/recordings/test_recordings.py
	part bpf programs bpftest
	# The probe gives up what the leak checker wants of it, to be traced; units and kernel tests are checked for leaks.
	export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
	part bad-input tests/e2e/bad_input.py
	part e2e tests/e2e/run.py --only exact --only stop_in_hold --only late_attach --only cause_deadlock \
		--only nudge_main_thread --only nudge_second_thread_on_cpu
	;;
# The threads of the agent are those that arm and disarm the edge source.
tsan)
	part bpf programs bpftest edge
	part e2e tests/e2e/run.py --only exact --only hold_uncontended --only short_releases
	;;
esac
part reports no_reports
sum_up
