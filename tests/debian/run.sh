#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds in fresh Debian systems, each a chroot that has make, git and nothing else of what the build needs, and watches that
# system's own Python from inside it. The running kernel is this machine's.
#   run.sh [SUITE...]     default: bookworm trixie bullseye (which must be refused in one sentence)
# A suite that cannot be had is skipped with its reason. Not by pytest: what is tried is a shell's work in a chroot, where no pytest is.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
work=$PWD/build/debian
arch=$(dpkg --print-architecture)
mkdir -p "$work"

check() { # NAME RC WHY
	if [ "$2" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: $3"
	fi
}

[ $# != 0 ] || set -- bookworm trixie bullseye
for suite in "$@"; do
	root=$work/$suite log=$work/$suite.log
	rm -rf --one-file-system "$root"
	mirror=$(tests/setup/private_apt.sh "$work/apt" "$suite" "$arch" mirror)
	if ! debootstrap --variant=minbase --include=make,git "$suite" "$root" "$mirror" >"$log" 2>&1; then
		skipped=$((skipped + 1))
		echo "skip $suite: debootstrap: $(tail -n 1 "$log")"
		continue
	fi
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	mkdir -p "$root/dora-probe"
	git archive HEAD | tar -x -C "$root/dora-probe"
	begin=$(date +%s) rc=0
	inside "$root" "make deps && make" >>"$log" 2>&1 || rc=$?
	took=$(($(date +%s) - begin))
	if [ "$suite" = bullseye ]; then
		said=$(grep -c '^dora-probe needs .* this system has ' "$log" || true)
		! grep -q '^  CC ' "$log" || said="$said and compiled"
		check "$suite: says in one sentence what it needs" "$([ "$rc" != 0 ] && [ "$said" = 1 ]; echo $?)" \
			"exit code $rc, $said such sentences"
		rm -rf --one-file-system "$root"
		continue
	fi
	check "$suite: make, $took s" "$rc" "$(tail -n 5 "$log")"
	[ "$rc" = 0 ] || continue
	inside "$root" "tests/setup/packages.sh test && make kernels-parts && python3 -V &&
		DP_TEST_SLOW=4 python3 tests/kernels/guest.py build /usr/bin/python3" >"$log.tried" 2>&1 || true
	echo "   $(grep -m 1 '^Python 3' "$log.tried" || echo no Python)"
	ok=$(grep -c '^ok ' "$log.tried" || true)
	bad=$(grep -c '^FAIL ' "$log.tried" || true)
	grep '^FAIL ' "$log.tried" || true
	[ "$ok" != 0 ] || { bad=1 && tail -n 5 "$log.tried"; }
	passed=$((passed + ok)) failed=$((failed + bad))
	echo "   $suite: $ok checks passed, $bad failed"
	rm -rf --one-file-system "$root"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
