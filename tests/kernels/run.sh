#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs guest.py on Debian's kernels in QEMU and prints one table: kernel × architecture × result.
#   run.sh [--figures FILE] [--slice] [SUITE/ARCH...]
# Default: every kernel that the README names. --slice: this machine's architecture with Debian 12's kernel.
# A kernel that cannot be had is "not tried", and its reason is printed; it is never counted as passed. Where
# nothing could be tried the exit code is 1, but for --slice, which is a part of a greater whole.
# On another machine arm64 wants build/arm64 (make ARCH=arm64) and its root with a Python in build/arm64/root.
set -euo pipefail
cd "$(dirname "$0")/../.."
all="bullseye-security/amd64 bookworm/amd64 trixie-security/amd64 sid/amd64
     bullseye/arm64 bookworm/arm64 trixie-security/arm64 sid/arm64"
native=$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
figures='' slice=''
while [ $# -gt 0 ]; do
	case "$1" in
	--figures) figures=$2 && shift 2 ;;
	--slice) slice=1 && shift && set -- "bookworm/$native" ;;
	*) break ;;
	esac
done
want=${*:-$all}
work=build/kernels
mkdir -p "$work/log"
passed=0 failed=0 skipped=0 table='' tried=''

row() { table="$table$(printf '%-22s %-6s %-14s %s' "$1" "$2" "$3" "$4")"$'\n'; }

for one in $want; do
	suite=${one%/*} arch=${one#*/} log=$work/log/${one%/*}-${one#*/}
	rc=0
	why=$(tests/kernels/get.sh "$work" "$suite" "$arch" 2>&1 >/dev/null) || rc=$?
	if [ "$rc" != 0 ]; then
		row "$suite" "$arch" "not tried" "${why##*$'\n'}"
		skipped=$((skipped + 1))
		echo "skip $one: ${why##*$'\n'}"
		continue
	fi
	release=$(cat "$work/$suite-$arch/release")
	if [ "$arch" = "$native" ]; then
		build=$PWD/build root=/ python=/usr/bin/python3 dora=$PWD/build/env/${KERNELS_DORA:-0.5.0}
		[ -e "$dora/.complete" ] || dora=
	else
		build=$PWD/build/$arch root=$PWD/build/$arch/root python=/usr/bin/python3 dora=
		if [ ! -x "$build/dora-probe" ] || [ ! -x "$root/usr/bin/python3" ]; then
			row "$release" "$arch" "not tried" "no build/$arch: make ARCH=$arch"
			skipped=$((skipped + 1))
			echo "skip $one: no build/$arch"
			continue
		fi
	fi
	begin=$(date +%s)
	# shellcheck disable=SC2086
	tests/kernels/boot.sh -t 600 -r "$root" "$work/$suite-$arch" -- \
		"$python" tests/kernels/guest.py "$build" "$python" $dora >"$log" 2>&1 || rc=$?
	took=$(($(date +%s) - begin))
	tried=1
	ok=$(grep -c '^ok ' "$log" || true)
	bad=$(grep -c '^FAIL ' "$log" || true)
	[ "$rc" = 0 ] || [ "$bad" != 0 ] || bad=1
	passed=$((passed + ok)) failed=$((failed + bad))
	if [ "$bad" = 0 ]; then
		row "$release" "$arch" "passed" "$ok checks, $took s"
	else
		row "$release" "$arch" "FAILED" "$bad of $((ok + bad)) checks (exit code $rc), $took s"
		grep -E '^FAIL ' "$log" || tail -n 20 "$log"
	fi
done
echo
echo "kernel                 arch   result"
printf '%s' "$table"
if [ -n "$tried" ]; then
	python3 tests/kernels/figures.py ${figures:+--write "$figures"} "$work"/log/*-*
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && { [ "$passed" != 0 ] || [ -n "$slice" ]; }
