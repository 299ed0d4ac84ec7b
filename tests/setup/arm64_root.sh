#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's arm64 packages unpacked into a folder: the sysroot that `make ARCH=arm64` builds against, and the
# root of arm64 guests (python3 is in it). The machine's own packages and architectures stay as they are.
#   arm64_root.sh FOLDER [SUITE]      SUITE: bookworm by default
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: arm64_root.sh FOLDER [SUITE]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
suite=${2:-bookworm}
stamp=$(sha256sum <"$0" | cut -d' ' -f1)-$suite
[ "$(cat "$1/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0
packages="libbpf-dev libelf-dev zlib1g-dev libyaml-dev libcap-dev libseccomp-dev libmicrohttpd-dev libncurses-dev
	libcmocka-dev libc6-dev linux-libc-dev libgcc-12-dev python3 python3-dev bash coreutils util-linux"
mkdir -p "$1"
root=$(cd "$1" && pwd)
apt=$root.apt
echo "  ROOT     arm64, $suite"
"$here/private_apt.sh" "$apt" "$suite" arm64 -qq update
# shellcheck disable=SC2086
"$here/private_apt.sh" "$apt" "$suite" arm64 -qq -y --download-only install $packages >"$apt/log" 2>&1 || {
	tail -n 5 "$apt/log" >&2
	exit 1
}
rm -rf "$root"
mkdir -p "$root"
# A root without /usr merged would shadow lib by a folder: the links come first, as in Debian since 12.
for d in bin sbin lib; do mkdir -p "$root/usr/$d" && ln -s "usr/$d" "$root/$d"; done
for deb in "$apt"/cache/archives/*.deb; do
	# dpkg-deb -x would put a folder in the place of such a link.
	dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root"
done
rm -f "$apt"/cache/archives/*.deb
# For a guest whose / this is: mount points, and the shell that boot.sh's script wants.
mkdir -p "$root"/{proc,sys,dev,run,tmp,root}
[ -e "$root/bin/sh" ] || ln -s bash "$root/usr/bin/sh"
# Linker scripts and links with absolute paths lead out of the folder.
find "$root/usr/lib/aarch64-linux-gnu" -maxdepth 1 -type l -lname '/*' | while read -r l; do
	ln -sfn "$root$(readlink "$l")" "$l"
done
echo "$stamp" >"$root/.stamp"
