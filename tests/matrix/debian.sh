#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Debian with its Pythons, unpacked and not installed, for chroot(8): the packages and all that they need, in ROOT.
#   debian.sh SUITE ROOT PACKAGE...
# Says how many packages; with the same words a second time it does nothing. Its downloads lie beside ROOT.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=$1 root=$2
shift 2
stamp="$root/.complete"
if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$*" ]; then
	exit 0
fi
apt=$root.apt arch=$(dpkg --print-architecture)
rm -rf --one-file-system "$root"
mkdir -p "$root"
tests/setup/private_apt.sh "$apt" "$suite" "$arch" -qq update
# Nothing counts as installed there, so all that is needed comes along: libc too.
tests/setup/private_apt.sh "$apt" "$suite" "$arch" -qq -y --download-only install "$@" libc-bin
# Since Debian 12 /bin, /lib and /sbin are links, which unpacking would replace by folders.
for d in bin lib lib64 sbin; do
	mkdir -p "$root/usr/$d"
	ln -s "usr/$d" "$root/$d"
done
for deb in "$apt"/cache/archives/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --no-same-owner
done
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/built"
echo "$(find "$apt/cache/archives" -name '*.deb' | wc -l) packages of $suite"
rm -rf "$apt/cache/archives"
echo "$*" >"$stamp"
