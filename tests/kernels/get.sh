#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Gets Debian's kernel of one suite and makes of it what boot.sh boots: FOLDER/SUITE-ARCH/{vmlinuz,
# initrd,release}. Downloads once; what is there is left alone.
#   get.sh FOLDER SUITE ARCH          (ARCH as Debian calls it: amd64, arm64)
# Exit code 3: that kernel cannot be had here; the last line on standard error says why.
set -euo pipefail
[ $# = 3 ] || { echo "usage: get.sh FOLDER SUITE ARCH" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
top=$(cd "$1" && pwd) suite=$2 arch=$3
out=$top/$suite-$arch
# The recipe is part of what was made: a changed script makes it anew.
stamp=$(cat "$here/get.sh" "$here/init.sh" | sha256sum | cut -d' ' -f1)
[ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && exit 0

apt() { "$here/../setup/private_apt.sh" "$top/apt/$suite-$arch" "$suite" "$arch" "$@"; }
cannot() {
	echo "$1" >&2
	exit 3
}
apt -qq update >"$top/apt.log" 2>&1 || cannot "no package lists of $suite ($arch): $(tail -n 1 "$top/apt.log")"

# The meta package names the image; since 7.x that is a shell around three others.
packages=$(cd "$top/apt/$suite-$arch" && APT_CONFIG=$PWD/apt.conf apt-cache depends --recurse --no-recommends \
	--no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "linux-image-$arch" 2>/dev/null |
	grep -oE '^linux-(image|binary|modules|base)-[0-9][^ ]*' | sort -u || true)
[ -n "$packages" ] || cannot "no linux-image-$arch in $suite"
echo "  KERNEL   $suite $arch: $(echo "$packages" | sed -n 1p)"
rm -rf "$out"
mkdir -p "$out/root"
# shellcheck disable=SC2086
apt -qq download $packages >"$top/apt.log" 2>&1 || cannot "$suite ($arch): $(tail -n 1 "$top/apt.log")"
for p in $packages; do
	for deb in "$top/apt/$suite-$arch/${p}"_*.deb; do
		dpkg-deb -x "$deb" "$out/root"
		rm -f "$deb"
	done
done
modules=$(find "$out/root" -type d -path '*/lib/modules/*' -name kernel | sed -n 1p)
[ -n "$modules" ] || cannot "$suite ($arch): the packages hold no modules"
release=$(basename "$(dirname "$modules")")
kernel=$(find "$out/root" -type f -name "vmlinuz*" | sed -n 1p)
[ -n "$kernel" ] || cannot "$suite ($arch): the packages hold no vmlinuz"
cp "$kernel" "$out/vmlinuz"
echo "$release" >"$out/release"

# An initial RAM disk of busybox and the modules for a root by 9p under an overlay.
rd=$out/rd
mkdir -p "$rd"/{bin,mod,proc,sys,dev,root,lower,upper,share}
base=$(dirname "$(dirname "$(dirname "$modules")")")
depmod -b "$(dirname "$base")" "$release" 2>/dev/null || depmod -b "$base" "$release" || true
kmod_root=$(dirname "$base")
[ -d "$kmod_root/lib/modules/$release" ] || kmod_root=$base
: >"$rd/mod/list"
modprobe_D() { modprobe -d "$kmod_root" -S "$release" -D "$1" 2>/dev/null || true; }
for m in virtio_pci virtio_mmio 9p 9pnet_virtio overlay; do
	modprobe_D "$m" | awk '$1 == "insmod" { print $2 }' | while read -r file; do
		name=$(basename "$file")
		name=${name%.xz} name=${name%.zst}
		grep -qx "$name" "$rd/mod/list" && continue
		case "$file" in
		*.xz) xz -dc "$file" >"$rd/mod/$name" ;;
		*.zst) zstd -qdc "$file" >"$rd/mod/$name" ;;
		*) cp "$file" "$rd/mod/$name" ;;
		esac
		echo "$name" >>"$rd/mod/list"
	done
done
grep -q overlay "$rd/mod/list" || cannot "$suite ($arch): no overlay module found in $release"
case "$arch" in
amd64) cp /bin/busybox "$rd/bin/busybox" ;;
*)
	# The suite of the security updates has few packages; any busybox will do.
	busybox() { "$here/../setup/private_apt.sh" "$top/apt/bookworm-$arch" bookworm "$arch" -qq "$@" >"$top/apt.log" 2>&1; }
	{ busybox update && busybox download busybox-static; } || cannot "no busybox-static of bookworm ($arch)"
	mkdir "$out/bb"
	dpkg-deb -x "$top/apt/bookworm-$arch"/busybox-static_*.deb "$out/bb"
	rm -f "$top/apt/bookworm-$arch"/busybox-static_*.deb
	cp "$(find "$out/bb" -type f -path '*/bin/busybox' | sed -n 1p)" "$rd/bin/busybox"
	;;
esac
cp "$here/init.sh" "$rd/init"
chmod +x "$rd/init" "$rd/bin/busybox"
(cd "$rd" && find . | cpio --quiet -o -H newc | gzip -1 >"$out/initrd")
rm -rf "$out/root" "$out/rd" "$out/bb"
echo "$stamp" >"$out/stamp"
