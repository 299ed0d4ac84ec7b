#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes the Debian package of the commit that is checked out.
#   deb.sh OUT [ARCH]     OUT: the folder for dora-probe_*.deb; ARCH: another architecture, whose libraries and
#                         compiler are installed beside this machine's own (Debian's multiarch)
# The same commit gives the same bytes: every time in it is the commit's.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
arch=${2:-$(dpkg --print-architecture)}
cd "$(dirname "$0")/../.."
version=$(cat VERSION)
# A tree without its history (an archive) has its own date.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y VERSION)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/dora-probe-$version
mkdir -p "$tree"
if git rev-parse -q --verify HEAD >/dev/null 2>&1; then
	git archive HEAD | tar -x -C "$tree"
else
	tar -c --exclude=./build . | tar -x -C "$tree"
fi
cp -r "$tree/agent/dist/debian" "$tree/debian"
cat >"$tree/debian/changelog" <<-END
	dora-probe ($version) unstable; urgency=medium

	  * Version $version: see CHANGELOG.md.

	 -- dora-probe developers <dora-probe@localhost.invalid>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
options=(-b -us -uc)
[ "$arch" = "$(dpkg --print-architecture)" ] || options+=("-a$arch" "-Pcross,nocheck")
log=$work/log
(cd "$tree" && dpkg-buildpackage "${options[@]}") >"$log" 2>&1 || { tail -n 40 "$log" >&2; exit 1; }
# With it comes a package of debug symbols.
cp "$work"/dora-probe*.deb "$out/"
echo "  DEB      $out/dora-probe_${version}_$arch.deb"
