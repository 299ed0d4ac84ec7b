#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The image of agent/dist/Containerfile without a container engine: what its last stage says is done in a fresh system, and
# the program in it is started with the rights of docs/containers.md, with the machine's process ids and with its own. The
# package comes from `make deb` (or package-test). The kernel is this machine's.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
work=$PWD/build/package-test
root=$work/container
mkdir -p "$work"
deb=build/packages/dora-probe_$(cat VERSION)_$(dpkg --print-architecture).deb
suite=$(sed -n 's/^FROM debian:\([a-z]*\)-slim$/\1/p' agent/dist/Containerfile)
if [ ! -e "$deb" ]; then
	skip "container: no $deb, make deb"
	summary
	exit
fi
if ! chroot_make "$root" "$suite" ca-certificates; then
	skip "container: $(tail -n 1 "$root.log")"
	summary
	exit
fi
cp "$deb" "$root/tmp/"
# Lines that go on are joined; of the last stage the RUN lines are what is left to be done.
steps=$(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' agent/dist/Containerfile | sed -n '/^FROM debian:[a-z]*-slim$/,$ s/^RUN //p')
entry=$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]$/\1/p' agent/dist/Containerfile)

within() { # COMMAND: in the image, which sees the machine's process ids
	# shellcheck disable=SC2016
	unshare --mount bash -c 'mount --bind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t sysfs -o ro sys "$1/sys"
		DEBIAN_FRONTEND=noninteractive exec chroot "$1" /bin/bash -c "$2"' within "$root" "$1" </dev/null
}

rights=$(sed -n 's/^ *add: \[\(.*\)\]$/\1/p' docs/containers.md | tr '[:upper:]' '[:lower:]' | tr -d ' ')
limited="setpriv --inh-caps=-all --bounding-set=-all,+${rights//,/,+}"

watched() { # START: the program in the image watches a Python of the machine's; what it says is in $work/lines
	/usr/bin/python3 -c 'import time; time.sleep(60)' &
	local target=$! rc=0
	sleep 1
	within "$1 $entry --pid $target --json --duration 2s" >"$work/lines" 2>"$work/said" || rc=$?
	kill "$target"
	cat "$work/lines" "$work/said"
	return "$rc"
}

own_ids() { # as without --pid=host: its own processes, and the sentence that mends it
	# shellcheck disable=SC2016
	unshare --mount --pid --fork bash -c 'mount -t proc proc "$1/proc"; mount -t sysfs -o ro sys "$1/sys"; mount --bind /dev "$1/dev"
		exec chroot "$1" /bin/bash -c "$2 doctor; $2 list; $2 --all --json --duration 1s"' own "$root" "$entry" >"$work/said" 2>&1 </dev/null || true
	cat "$work/said"
	grep -q -- --pid=host "$work/said"
}

must "container: the steps of its last stage" within "$steps"
check "container: --version" within "$entry --version"
check "container: doctor with the rights of docs/containers.md" within "$limited $entry doctor"
check "container: watches a process of the machine" watched "$limited"
check "container: at level full" grep -q '"level":"full"' "$work/lines"
check "container: without the machine's process ids it says what mends it" own_ids
rm -rf --one-file-system "$root"
summary
