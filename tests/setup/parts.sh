#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# To be read by a script that runs tests in parts (`.`), each with a log of its own in $DP_TEST_LOG. What a part
# says is shown indented: of a part that has parts itself, only the last line is counted by the outer one.
passed=0 failed=0 skipped=0

part() { # NAME COMMAND...: runs it, adds its counts, goes on after a failure
	run_part "$@"
	tell_part "$1"
}

# A part beside the others: `run_part NAME COMMAND... &` at its beginning, `wait` and `tell_part NAME` at its end.
run_part() {
	local name=$1 rc=0 begin=$SECONDS
	shift
	"$@" >"$DP_TEST_LOG/$name.log" 2>&1 || rc=$?
	echo "$rc $((SECONDS - begin))" >"$DP_TEST_LOG/$name.rc"
}

tell_part() {
	local name=$1 log="$DP_TEST_LOG/$1.log" rc took p f s counts
	read -r rc took <"$DP_TEST_LOG/$name.rc"
	echo "== $name, $took s"
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
		grep -vE '^\[ +(RUN|OK) +\]|^pass ' "$log" | tail -n 120 | sed 's/^/   /' || true
	else
		grep -E "^\[  SKIPPED |^ *SKIP[: ]|^ *skip |^seed " "$log" | sed 's/^/   /' || true
	fi
	echo "   $p passed, $f failed, $s skipped"
}

sum_up() { # the last line: N passed, N failed[, N skipped]; 0 if none failed and one passed
	local line="$passed passed, $failed failed"
	[ "$skipped" = 0 ] || line="$line, $skipped skipped"
	echo "$line"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}
