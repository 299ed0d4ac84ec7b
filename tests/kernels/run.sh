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
rm -rf "$work/result"
mkdir -p "$work/log" "$work/result"

row() { printf '%-22s %-6s %-14s %s\n' "$1" "$2" "$3" "$4" >"$work/result/${one%/*}-$arch.row"; }

# Not tried: counted apart, with its reason.
skip() {
	row "$1" "$arch" "not tried" "$2"
	echo "skip $one: $2"
	echo "0 0 1" >"$work/result/${one%/*}-$arch.count"
}

# Gets one kernel; what cannot be had is a skip. One after the other: they share folders of packages.
get() {
	one=$1 arch=${1#*/}
	why=$(tests/kernels/get.sh "$work" "${one%/*}" "$arch" 2>&1 >/dev/null) || skip "${one%/*}" "${why##*$'\n'}"
}

# Boots one kernel, leaves its row and "passed failed skipped" in result/, and prints what failed.
try() {
	one=$1 arch=${1#*/} rc=0
	local name=${1%/*}-${1#*/} release build root python dora begin took ok bad
	[ ! -e "$work/result/$name.count" ] || return 0
	release=$(cat "$work/$name/release")
	if [ "$arch" = "$native" ]; then
		build=$PWD/build root=/ python=/usr/bin/python3 dora=$PWD/build/env/${KERNELS_DORA:-0.5.0}
		[ -e "$dora/.complete" ] || dora=
	else
		build=$PWD/build/$arch root=$PWD/build/$arch/root python=/usr/bin/python3 dora=
		if [ ! -x "$build/dora-probe" ] || [ ! -x "$root/usr/bin/python3" ]; then
			skip "$release" "no build/$arch: make ARCH=$arch"
			return 0
		fi
	fi
	begin=$(date +%s)
	# shellcheck disable=SC2086
	tests/kernels/boot.sh -t 900 -r "$root" "$work/$name" -- \
		"$python" tests/kernels/guest.py "$build" "$python" $dora >"$work/log/$name" 2>&1 || rc=$?
	took=$(($(date +%s) - begin))
	ok=$(grep -c '^ok ' "$work/log/$name" || true)
	bad=$(grep -c '^FAIL ' "$work/log/$name" || true)
	[ "$rc" = 0 ] || [ "$bad" != 0 ] || bad=1
	echo "$ok $bad 0" >"$work/result/$name.count"
	if [ "$bad" = 0 ]; then
		row "$release" "$arch" "passed" "$ok checks, $took s"
	else
		row "$release" "$arch" "FAILED" "$bad of $((ok + bad)) checks (exit code $rc), $took s"
		grep -E '^FAIL ' "$work/log/$name" | sed "s|^FAIL |FAIL $one: |" || tail -n 20 "$work/log/$name"
	fi
}

for one in $want; do get "$one"; done
# An emulated guest is one thread: as many run beside each other as there are processors, two at the most,
# since each takes 2 GiB.
jobs=$(nproc)
[ "$jobs" -le 2 ] || jobs=2
for one in $want; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
	try "$one" &
done
wait

passed=0 failed=0 skipped=0
for one in $want; do
	read -r ok bad not <"$work/result/${one%/*}-${one#*/}.count"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + not))
done
echo
echo "kernel                 arch   result"
for one in $want; do cat "$work/result/${one%/*}-${one#*/}.row"; done
if [ $((passed + failed)) != 0 ]; then
	python3 tests/kernels/figures.py ${figures:+--write "$figures"} "$work"/log/*-*
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && { [ "$passed" != 0 ] || [ -n "$slice" ]; }
