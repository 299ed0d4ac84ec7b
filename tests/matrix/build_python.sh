#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A CPython of Debian's source, built in a way that Debian does not: without the GIL, with tail calls, …
#   build_python.sh SUITE VERSION PREFIX CONFIGURE-ARGUMENT...
# Built by the suite's own compiler in a root of its own (PREFIX.root), where it runs as well: chroot PREFIX.root /python/bin/python3.
# Takes some minutes once; with the same words a second time it does nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=$1 version=$2 prefix=$3
shift 3
root=$prefix.root log=$prefix.log
if [ -e "$prefix.complete" ] && [ "$(cat "$prefix.complete")" = "$suite $version $*" ]; then
	exit 0
fi
mkdir -p "$(dirname "$prefix")"
trap 'tail -n 20 "$log" >&2' ERR
tests/matrix/debian.sh "$suite" "$root" gcc make libc6-dev libffi-dev zlib1g-dev bash dash coreutils sed grep mawk findutils diffutils tar xz-utils >"$log"
DP_APT_SOURCES=1 tests/setup/private_apt.sh "$root.apt" "$suite" "$(dpkg --print-architecture)" -qq update
rm -rf "$root/source" "$root/python"
mkdir -p "$root/source" "$root/python"
DP_APT_SOURCES=1 tests/setup/private_apt.sh "$root.apt" "$suite" "$(dpkg --print-architecture)" -qq --download-only --tar-only source "python$version" >>"$log" 2>&1
tar -x --strip-components=1 -C "$root/source" -f "$root.apt/python$version"_*.orig.tar.xz
rm -f "$root.apt/python$version"_*
[ -e "$root/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
[ -e "$root/dev/null" ] || { mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 444 "$root/dev/urandom" c 1 9; }
# shellcheck disable=SC2016
chroot "$root" /bin/bash -c '
	set -e
	cd /source
	./configure -q --prefix=/python --without-ensurepip --disable-test-modules CC=gcc OPT="-O2 -g0" "$@"
	make -s -j2
	make -s install
' build "$@" >>"$log" 2>&1
rm -rf "$root/source"
echo "$suite $version $*" >"$prefix.complete"
