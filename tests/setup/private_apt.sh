#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# apt-get for another suite or architecture, apart from the machine's own: sources, lists, cache and a
# status without packages lie in a folder of its own, so nothing of the system changes.
#   private_apt.sh FOLDER SUITE ARCH apt-get-arguments...
#   private_apt.sh FOLDER SUITE ARCH mirror                  prints the mirror's address and does nothing else
# With DP_APT_SOURCES=1 source packages can be had too (apt-get source --download-only).
# The mirror is the one that the machine itself uses for Debian; downloads land in FOLDER.
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: private_apt.sh FOLDER SUITE ARCH APT-GET-ARGUMENTS..." >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd) suite=$2 arch=$3
shift 3

# The first address of Debian itself in the machine's sources: that of security updates ends otherwise.
mirror=$(sed -nE '/^#/d; s/.*[[:space:]]([a-z+]+:\/\/[^ ]*\/debian)\/?([[:space:]].*)?$/\1/p' \
	/etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list \
	2>/dev/null | sed -n 1p || true)
[ -n "$mirror" ] || { echo "private_apt.sh: no Debian mirror in the machine's sources" >&2; exit 3; }
case "$suite" in
*-security) uri=${mirror%/}-security ;;
*) uri=$mirror ;;
esac
if [ "$1" = mirror ]; then
	echo "$uri"
	exit 0
fi
conf=$dir/apt.conf
mkdir -p "$dir"/{lists/partial,cache/archives/partial,etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d,state}
: >>"$dir/status"
for kind in deb ${DP_APT_SOURCES:+deb-src}; do
	echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
done >"$dir/etc/sources.list"
cat >"$conf" <<CONF
Dir::Etc "$dir/etc";
Dir::Etc::sourcelist "$dir/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$dir/state";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Log "$dir";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
# Signatures are checked; a mirror that stands still (sid's lists are valid for a week) will do for tests.
Acquire::Check-Valid-Until "false";
Debug::NoLocking "true";
CONF
cd "$dir"
exec env APT_CONFIG="$conf" apt-get "$@"
