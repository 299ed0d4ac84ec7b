#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# To be read by a script that tries something in fresh Debian systems (`.`).
passed=0 failed=0 skipped=0

must() { # NAME COMMAND...: counts; what the command says is shown when it fails, and its exit code returned
	local name=$1 log rc=0
	shift
	log=$("$@" 2>&1) || rc=$?
	if [ "$rc" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name: exit code $rc: $(tail -n 12 <<<"$log")"
	fi
	return "$rc"
}

check() { # the same, and the script goes on whatever it is
	must "$@" || true
}

skip() { # WHY
	skipped=$((skipped + 1))
	echo "skip $1"
}

none() { # FOLDER FIND-ARGUMENTS...: nothing is found
	local found
	found=$(find "$1" -xdev "${@:2}" | head -n 5)
	[ -z "$found" ] || { echo "$found" && return 1; }
}

summary() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

# A system of this suite with these packages (a,b,c) in ROOT; what debootstrap says is in ROOT.log.
chroot_make() { # ROOT SUITE PACKAGES
	local root=$1 suite=$2 mirror
	mirror=$(tests/setup/private_apt.sh "$(dirname "$root")/apt" "$suite" "$(dpkg --print-architecture)" mirror)
	rm -rf --one-file-system "$root"
	debootstrap --variant=minbase ${3:+--include="$3"} "$suite" "$root" "$mirror" >"$root.log" 2>&1 || return 1
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
}

# Runs a command in the system, in a mount namespace of its own: nothing stays mounted.
# shellcheck disable=SC2016
inside() { # ROOT COMMAND
	unshare --mount bash -c '
		set -e
		mount --bind /dev "$1/dev"
		mount -t proc proc "$1/proc"
		mount -t sysfs sys "$1/sys"
		mount -t tracefs tracefs "$1/sys/kernel/tracing" 2>/dev/null || true
		mount -t bpf bpf "$1/sys/fs/bpf" 2>/dev/null || true
		mount -t tmpfs tmp "$1/tmp"
		export DEBIAN_FRONTEND=noninteractive
		exec chroot "$1" /bin/bash -c "cd /dora-probe 2>/dev/null; $2"' inside "$1" "$2" </dev/null
}
