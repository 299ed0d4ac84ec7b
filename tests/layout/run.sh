#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The layout tables against CPython's own headers, each release that Debian has, amd64 and arm64.
#   run.sh [ARCH...]
# Not by pytest: a compiler and a diff, for each release. arm64 on another machine wants build/arm64 (make ARCH=arm64) and runs in user emulation.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/build/python-headers
native=$(dpkg --print-architecture)
passed=0 failed=0 skipped=0
[ $# != 0 ] || set -- amd64 arm64
for arch in "$@"; do
	b=build cc=(gcc) run=()
	if [ "$arch" != "$native" ]; then
		b=build/$arch cc=(aarch64-linux-gnu-gcc "--sysroot=$PWD/build/arm64/root") run=(qemu-aarch64-static -L "$PWD/build/arm64/root")
	fi
	for one in bullseye:3.9 bookworm:3.11 trixie:3.13 sid:3.14 sid:3.15; do
		suite=${one%:*} version=${one#*:} dir=$work/${one/:/-}-$arch name="CPython $version, $arch"
		if [ ! -e "$dir/.complete" ]; then
			rm -rf "$dir"
			mkdir -p "$dir/root"
			if ! { tests/setup/private_apt.sh "$dir/apt" "$suite" "$arch" -qq update &&
				tests/setup/private_apt.sh "$dir/apt" "$suite" "$arch" -qq download "libpython$version-dev"; } >"$dir/log" 2>&1; then
				echo "skip $name: $(tail -n 1 "$dir/log")"
				skipped=$((skipped + 1))
				continue
			fi
			dpkg-deb -x "$dir"/apt/libpython"$version"-dev_*.deb "$dir/root"
			touch "$dir/.complete"
		fi
		if said=$("${cc[@]}" -O1 -w -D_GNU_SOURCE -I"$dir/root/usr/include/python$version" -I"$dir/root/usr/include" \
			-Iagent -Iinclude -o "$dir/offsets" tests/layout/offsets.c "$b/libdora_probe.a" 2>&1) &&
			said=$("${run[@]}" "$dir/offsets"); then
			echo "ok $name: $said"
			passed=$((passed + 1))
		else
			echo "FAIL $name: $(tail -n 12 <<<"$said")"
			failed=$((failed + 1))
		fi
	done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
