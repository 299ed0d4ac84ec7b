#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make test`: sets up, builds, runs every part, and ends with one line that sums them up:
#   N passed, N failed[, N skipped]
set -euo pipefail
cd "$(dirname "$0")/../.."

export DP_TEST_LOG=build/test-log
mkdir -p "$DP_TEST_LOG"
passed=0 failed=0 skipped=0

part() { # NAME COMMAND...: runs it, adds its counts, goes on after a failure
	local name=$1 log="$DP_TEST_LOG/$1.log" rc=0 p f s counts
	shift
	echo "== $name"
	"$@" >"$log" 2>&1 || rc=$?
	# cmocka counts a group at a time, the Python tests once at the end.
	counts=$(awk '
		/^\[  PASSED  \] [0-9]+ test/  { p += $4 }
		/^\[  FAILED  \] [0-9]+ test/  { f += $4 }
		/^\[  SKIPPED \] [0-9]+ test/  { s += $4 }
		/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3; s += $5 }
		/^[a-z]+: [0-9]+ skipped/      { s += $2 }
		END { print p + 0, f + 0, s + 0 }' "$log")
	read -r p f s <<<"$counts"
	# A part that broke without counting a failure has failed all the same.
	if [ "$rc" != 0 ] && [ "$f" = 0 ]; then
		f=1
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$rc" != 0 ] || [ "$f" != 0 ]; then
		grep -vE '^\[ +(RUN|OK) +\]|^pass ' "$log" | tail -n 120
	else
		grep -E "^\[  SKIPPED |^ *SKIP[: ]|^skip |^seed " "$log" || true
	fi
	echo "   $p passed, $f failed, $s skipped"
}

tests/setup/packages.sh test
# shellcheck disable=SC2086
tests/setup/dora_env.sh ${TEST_DORA:-0.5.0 0.4.1}
make --no-print-directory all

part unit make --no-print-directory -k unit
part recordings tests/recordings/test_recordings.py
export DORA_PROBE_TEST_DORA=$PWD/build/env/0.5.0
part bpf make --no-print-directory -k bpf-test
part selftest tests/e2e/selftest.py
part bad-input tests/e2e/bad_input.py
part view tests/e2e/view_test.py
part e2e tests/e2e/run.py -j "${E2E_JOBS:-2}"

line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
