#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes wheels with the one binary that runs on glibc 2.31 and later: Debian 11, Ubuntu 20.04 and whatever came after.
#   wheel.sh OUT [ARCH...]      ARCH: amd64, arm64; default: this machine's
# Everything but glibc is linked in, from Debian 11's own static libraries; libbpf and libmicrohttpd (without TLS) are
# built there from Debian 12's source packages, since Debian 11's libbpf is too old. The BPF object comes from this
# machine's clang (make has built it).
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
native=$(dpkg --print-architecture)
[ $# != 0 ] || set -- "$native"
work=$PWD/build/wheel
root=$work/root
version=$(cat VERSION)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y VERSION)}
export SOURCE_DATE_EPOCH
mkdir -p "$work"

fail() {
	tail -n 20 "$work/log" >&2
	exit 1
}

# Source packages of the suite that this needs, checked by apt's keys.
sources() {
	local apt=$work/apt uri
	uri=$(tests/setup/private_apt.sh "$apt" bookworm "$native" mirror)
	tests/setup/private_apt.sh "$apt" bookworm "$native" -qq update
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm main" >"$apt/etc/src.list"
	mkdir -p "$root/src"
	APT_CONFIG=$apt/apt.conf apt-get -qq -o Dir::Etc::sourcelist="$apt/etc/src.list" update
	(cd "$root/src" && APT_CONFIG=$apt/apt.conf apt-get -qq -o Dir::Etc::sourcelist="$apt/etc/src.list" \
		source --download-only libbpf libmicrohttpd)
}

if [ "$(cat "$root/.stamp" 2>/dev/null)" != "$(sha256sum <agent/dist/wheel.sh)" ]; then
	chroot_make "$root" bullseye gcc,make,file,pkg-config,dpkg-dev,xz-utils,libc6-dev >"$work/log" 2>&1 || fail
	sources >>"$work/log" 2>&1 || fail
	inside "$root" "dpkg --add-architecture arm64; cd /src && for f in *.dsc; do dpkg-source --no-check -x \$f; done" \
		>>"$work/log" 2>&1 || fail
	sha256sum <agent/dist/wheel.sh >"$root/.stamp"
fi

for arch in "$@"; do
	case $arch in
	amd64) triplet=x86_64-linux-gnu machine=x86_64 ;;
	arm64) triplet=aarch64-linux-gnu machine=aarch64 ;;
	*) echo "wheel.sh: no architecture '$arch'" >&2 && exit 2 ;;
	esac
	static=/static/$arch
	if [ ! -e "$root$static/.complete" ]; then
		cross=
		[ "$arch" = "$native" ] || cross="crossbuild-essential-$arch"
		inside "$root" "set -e
			apt-get update -qq
			apt-get install -y -qq --no-install-recommends $cross libelf-dev:$arch zlib1g-dev:$arch libyaml-dev:$arch \
				libcap-dev:$arch libseccomp-dev:$arch libncurses-dev:$arch
			rm -rf /build/$arch && mkdir -p /build/$arch $static
			# With their times: copied without, make finds generated files older than their sources, or not, by chance.
			cp -a /src/libbpf-*/ /build/$arch/libbpf && cp -a /src/libmicrohttpd-*/ /build/$arch/http
			make -C /build/$arch/libbpf/src CC=$triplet-gcc AR=$triplet-ar PKG_CONFIG=false NO_PKG_CONFIG=1 BUILD_STATIC_ONLY=1 \
				PREFIX=$static LIBDIR=$static/lib OBJDIR=/build/$arch/obj DESTDIR= install
			cd /build/$arch/http && ./configure --host=$triplet --prefix=$static --libdir=$static/lib --disable-https \
				--enable-static --disable-shared --disable-doc --disable-examples --disable-curl
			# Debian's patches make its generated files look old.
			old='ACLOCAL=: AUTOCONF=: AUTOMAKE=: AUTOHEADER=:'
			make \$old -C src/include install
			make \$old -C src/microhttpd install
			touch $static/.complete" >>"$work/log" 2>&1 || fail
	fi
	# The kernel's side has been compiled here; the copy keeps its times, so that make there finds it made.
	rm -rf "$root/dora-probe"
	mkdir -p "$root/dora-probe/build"
	git archive HEAD | tar -x -C "$root/dora-probe"
	if [ "$arch" = "$native" ]; then
		skeleton=build/gen/dora_probe.skel.h
		make --no-print-directory "$skeleton" >>"$work/log" 2>&1 || fail
	else
		skeleton=build/wheel/$arch/gen/dora_probe.skel.h
		make --no-print-directory ARCH="$arch" ROOT= CC=gcc B="build/wheel/$arch" "$skeleton" >>"$work/log" 2>&1 || fail
	fi
	mkdir -p "$root/dora-probe/build/gen"
	cp "$skeleton" "$root/dora-probe/build/gen/"
	inside "$root" "set -e
		make -o build/gen/dora_probe.skel.h -o build/deps.stamp build/dora-probe ARCH=$arch ROOT= B=build \
			CC=$triplet-gcc AR=$triplet-ar CPPFLAGS='-I$static/include -I/build/$arch/libbpf/include/uapi' \
			LDFLAGS='-L$static/lib -pthread -Wl,-z,relro,-z,now' \
			LIBS='-Wl,-Bstatic -lbpf -lelf -lz -lyaml -lcap -lseccomp -lmicrohttpd -lncursesw -ltinfo -Wl,-Bdynamic'
		$triplet-strip -o build/dora-probe.stripped build/dora-probe" >>"$work/log" 2>&1 || fail
	agent/dist/wheel.py "$root/dora-probe/build/dora-probe.stripped" "$machine" "$version" "$out"
done
