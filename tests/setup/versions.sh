#!/bin/sh
# SPDX-License-Identifier: MIT
# Says in one sentence what the system is too old for, before anything is compiled.
#   versions.sh system     before packages are installed: glibc
#   versions.sh libraries  after it: libbpf
set -eu
older() { # HAVE WANT: is HAVE lower than WANT?
	[ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
case "${1:-system}" in
system)
	have=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')
	if [ -n "$have" ] && older "$have" 2.34; then
		echo "dora-probe needs glibc 2.34 and libbpf 1.0 or newer to be built (Debian 12, Ubuntu 22.10); this system has glibc $have." >&2
		exit 1
	fi
	;;
libraries)
	have=$(pkg-config --modversion libbpf 2>/dev/null || true)
	if [ -n "$have" ] && older "$have" 1.0; then
		echo "dora-probe needs libbpf 1.0 or newer to be built (Debian 12, Ubuntu 22.10); this system has libbpf $have." >&2
		exit 1
	fi
	;;
esac
