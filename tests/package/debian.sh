#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Debian package, in fresh systems: built in one, checked by lintian, then installed, run, upgraded and removed in
# another that has nothing of the build. The kernel is this machine's.
#   debian.sh [SUITE...]      default: bookworm trixie; bookworm also cross-builds for arm64
# The same package twice in two folders must be the same bytes. A suite that cannot be had is skipped with its reason.
# Not by pytest: what is tried is a shell's work in a chroot, where no pytest is; test_*.py here has the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
work=$PWD/build/package-test
arch=$(dpkg --print-architecture)
mkdir -p "$work" build/packages

build() { # SUITE
	local suite=$1 root=$work/$1-build version
	version=$(cat VERSION)
	must "$suite: build" inside "$root" "agent/dist/deb.sh /out && agent/dist/deb.sh /again" || return 1
	check "$suite: the same bytes" cmp "$root/out/dora-probe_${version}_$arch.deb" "$root/again/dora-probe_${version}_$arch.deb"
	# Also what is only informational must be known.
	check "$suite: lintian" inside "$root" \
		"lintian --allow-root --fail-on error,warning /out/dora-probe_${version}_$arch.deb"
	# A newer one, to upgrade to.
	check "$suite: build the next version" inside "$root" "echo 99.0.0 >VERSION && agent/dist/deb.sh /next"
	cp "$root/out/dora-probe_${version}_$arch.deb" "build/packages/"
}

use() { # SUITE
	local suite=$1 root=$work/$1-use
	chroot_make "$root" "$suite" "" || return 1
	mkdir -p "$root/packages"
	cp "$work/$suite-build"/out/dora-probe_*.deb "$work/$suite-build"/next/dora-probe_99*.deb "$root/packages/"
	check "$suite: install" inside "$root" "apt-get install -y /packages/dora-probe_0*.deb"
	check "$suite: runs" inside "$root" "cd / && dora-probe --version && dora-probe list && dora-probe --help"
	check "$suite: doctor loads the kernel programs" inside "$root" "cd / && dora-probe doctor"
	check "$suite: upgrade" inside "$root" "apt-get install -y /packages/dora-probe_99*.deb && dora-probe --version | grep -q 99.0.0"
	check "$suite: remove" inside "$root" "apt-get purge -y dora-probe"
	check "$suite: nothing stays" none "$root" -path '*dora-probe*' -not -path '*/packages/*' -not -path '*/dora-probe' \
		-not -path '*/dora-probe/*'
	rm -rf --one-file-system "$root"
}

cross() { # SUITE: a package for arm64, by Debian's own multiarch
	local suite=$1 root=$work/$1-build deb
	must "$suite: build for arm64" inside "$root" "echo $(cat VERSION) >VERSION &&
		dpkg --add-architecture arm64 && apt-get update -qq &&
		apt-get install -y -qq --no-install-recommends crossbuild-essential-arm64 pkgconf:arm64 libbpf-dev:arm64 libelf-dev:arm64 \
			zlib1g-dev:arm64 libyaml-dev:arm64 libcap-dev:arm64 libseccomp-dev:arm64 libmicrohttpd-dev:arm64 libncurses-dev:arm64 &&
		agent/dist/deb.sh /arm64 arm64" || return 1
	deb=$(echo "$root"/arm64/dora-probe_*_arm64.deb)
	dpkg-deb -x "$deb" "$work/arm64"
	check "$suite: it is an arm64 program" grep -q AArch64 <(readelf -h "$work/arm64/usr/bin/dora-probe")
	cp "$deb" build/packages/
}

[ $# != 0 ] || set -- bookworm trixie
for suite in "$@"; do
	if ! chroot_make "$work/$suite-build" "$suite" make,git; then
		skip "$suite: $(tail -n 1 "$work/$suite-build.log")"
		continue
	fi
	mkdir -p "$work/$suite-build/dora-probe"
	git archive HEAD | tar -x -C "$work/$suite-build/dora-probe"
	must "$suite: make deps" inside "$work/$suite-build" "make deps && tests/setup/packages.sh deb" || continue
	build "$suite" || continue
	use "$suite"
	[ "$suite" != bookworm ] || cross "$suite"
	rm -rf --one-file-system "$work/$suite-build"
done
summary
