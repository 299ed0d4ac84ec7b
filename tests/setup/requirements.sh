#!/bin/sh
# SPDX-License-Identifier: MIT
# Says in one sentence what a build lacks or is too old for, before anything is compiled. Installs nothing.
#   requirements.sh system   glibc
#   requirements.sh build    compilers, tools and libraries; $CC, $CLANG, $BPFTOOL and $PKG_CONFIG name the programs
set -eu
older() { # HAVE WANT: is HAVE lower than WANT?
	[ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
too_old() { # WHAT
	echo "dora-probe needs glibc 2.31 and libbpf 1.0 or newer to be built (Debian 12, Ubuntu 22.10); this system has $1." >&2
	exit 1
}
case "${1:-system}" in
system)
	have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')
	[ -z "$have" ] || ! older "$have" 2.31 || too_old "glibc $have"
	;;
build)
	pkg_config=${PKG_CONFIG:-pkg-config}
	missing=
	for program in "${CC:-gcc}" "${CLANG:-clang}" "${BPFTOOL:-bpftool}" "$pkg_config"; do
		command -v "$program" >/dev/null || missing="$missing $program"
	done
	# Asked by name where pkg-config is there to ask.
	if command -v "$pkg_config" >/dev/null; then
		for library in libbpf libelf zlib yaml-0.1 libcap libseccomp libmicrohttpd ncursesw; do
			"$pkg_config" --exists "$library" || missing="$missing $library"
		done
	fi
	if [ -n "$missing" ]; then
		mend="install them with their development files"
		! command -v apt-get >/dev/null || mend="install them with: sudo make deps"
		echo "dora-probe needs to be built, and does not find:$missing; $mend" >&2
		exit 1
	fi
	have=$("$pkg_config" --modversion libbpf)
	! older "$have" 1.0 || too_old "libbpf $have"
	;;
esac
