#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make coverage`: runs what can be run in a minute and prints how many lines of each folder ran.
#   coverage.sh BUILD          as root the kernel tests too
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# = 1 ] || { echo "usage: coverage.sh BUILD" >&2; exit 2; }
build=$PWD/$1
export DP_TEST_LOG=$1/test-log LLVM_PROFILE_FILE=$build/raw/%m.profraw
rm -rf "$build/raw"
mkdir -p "$build/raw" "$DP_TEST_LOG"
# The recordings' tests give the probe an environment of its own, without the variable above.
cat >"$build/probe" <<P
#!/bin/sh
LLVM_PROFILE_FILE=$LLVM_PROFILE_FILE exec $build/dora-probe "\$@"
P
chmod +x "$build/probe"
export DORA_PROBE=$build/probe
[ ! -d build/env/0.5.0 ] || export DORA_PROBE_TEST_DORA=$PWD/build/env/0.5.0
. tests/setup/parts.sh

programs() {
	local t rc=0
	for t in "$build/$1"/test_*; do
		[ -x "$t" ] || continue
		"$t" || rc=1
	done
	return $rc
}

part unit programs unit
part recordings tests/recordings/test_recordings.py
[ "$(id -u)" != 0 ] || part bpf programs bpftest

llvm-profdata merge -sparse -o "$build/all.profdata" "$build"/raw/*.profraw
objects=()
for t in "$build"/unit/test_* "$build"/bpftest/test_*; do
	[ -x "$t" ] && objects+=(-object "$t")
done
llvm-cov export -summary-only -instr-profile "$build/all.profdata" "$build/dora-probe" "${objects[@]}" \
	>"$build/summary.json" 2>"$build/llvm-cov.log"
tests/tools/coverage_folders.py "$build/summary.json"
sum_up
