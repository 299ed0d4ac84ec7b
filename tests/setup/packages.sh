#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that a step needs, only those that are missing.
#   packages.sh build|test|fuzz|lint|sanitize|dashboards|render|cross|kernels|deb
set -eu
build="gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libyaml-dev libcap-dev libseccomp-dev libmicrohttpd-dev libncurses-dev"
# pypy3 is a target that must be refused; util-linux has setpriv and unshare; tmux is the terminal
# of the live view's tests.
test="libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-venv python3-dev util-linux pypy3 tmux"
# The newest clang-tidy of the suite; its list of checks is in .clang-tidy.
lint="clang-tidy shellcheck python3 python3-pytest python3-pytest-xdist python3-venv"
cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static debian-archive-keyring"
kernels="qemu-system-x86 qemu-system-arm cpio kmod xz-utils zstd busybox-static debian-archive-keyring"
dashboards="prometheus prometheus-alertmanager curl"
case "${1:-build}" in
build) want=$build ;;
test) want="$build $test" ;;
# libFuzzer and the sanitizers of the clang that is there.
fuzz)
	v=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
	want="$build libclang-rt-${v:+$v-}dev python3"
	;;
lint) want="$build $test $lint" ;;
# Sanitizers and coverage with clang, of everything that `make test` runs.
sanitize)
	v=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
	want="$build $test libclang-rt-${v:+$v-}dev"
	;;
dashboards) want="$build $test $dashboards" ;;
cross) want="$build $cross" ;;
kernels) want="$build $test $kernels" ;;
deb) want="$build build-essential debhelper fakeroot lintian" ;;
render) want="$build $test $dashboards chromium fonts-dejavu-core" ;;
*) echo "usage: packages.sh build|test|fuzz|lint|sanitize|dashboards|render|cross|kernels|deb" >&2; exit 2 ;;
esac
missing=
for p in $want; do
	dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing packages:$missing" >&2
	echo "install them with: sudo apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi
echo "  INSTALL $missing"
export DEBIAN_FRONTEND=noninteractive
lock="-o DPkg::Lock::Timeout=600"
# shellcheck disable=SC2086
apt-get $lock update -qq
# shellcheck disable=SC2086
apt-get $lock install -y -qq --no-install-recommends $missing >/dev/null
