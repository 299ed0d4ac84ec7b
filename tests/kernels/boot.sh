#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots a kernel that get.sh made, in QEMU, with the host's own files as its root, and runs a command there.
#   boot.sh [-t SECONDS] [-r ROOT] FOLDER -- COMMAND ARGS...
# ROOT: the folder that is the guest's / (default /). The command starts in the folder where boot.sh was
# started, which the guest sees read-only under the same path whatever its root is. Prints its output; exit code: the command's; 124 when time ran out, 125 when
# the guest died or never came up (its console's end is printed).
#
# Emulated in one thread: QEMU 7.2's default, one thread a CPU, loses a race with a kernel that patches its own
# text, which is what each attaching of a tracepoint does (int3 oops, soft lockups). KVM is not used even where
# /dev/kvm is: nested, it hangs.
set -euo pipefail
seconds=300 root=/
while [ $# -gt 0 ]; do
	case "$1" in
	-t) seconds=$2 && shift 2 ;;
	-r) root=$2 && shift 2 ;;
	*) break ;;
	esac
done
[ $# -ge 3 ] && [ "$2" = -- ] || { echo "usage: boot.sh [-t SECONDS] [-r ROOT] FOLDER -- COMMAND..." >&2; exit 2; }
kernel=$(cd "$1" && pwd)
shift 2
share=$(mktemp -d)
trap 'rm -rf "$share"' EXIT
{
	echo "cd '$PWD' || cd /"
	echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8"
	[ -z "${DP_GUEST_ENV:-}" ] || echo "export $DP_GUEST_ENV"
	printf "setsid"
	printf ' %q' "$@"
	echo " </dev/null >/run-guest/stdout 2>/run-guest/stderr"
	echo "echo \$? >/run-guest/rc.new; dmesg >/run-guest/dmesg; mv /run-guest/rc.new /run-guest/rc; sync"
	echo "echo o >/proc/sysrq-trigger; sleep 60"
} >"$share/start"
# Nehalem has what pyarrow needs (SSE4.2, POPCNT); with `max` a static busybox of Debian 12 aborts at start.
case "$(basename "$kernel")" in
*-arm64) qemu=(qemu-system-aarch64 -M virt -cpu cortex-a72) console=ttyAMA0 ;;
*) qemu=(qemu-system-x86_64 -M q35 -cpu Nehalem) console=ttyS0 ;;
esac
# A share of its own: ROOT may be another, and the guest's /tmp is.
echo "$PWD" >"$share/folder"
rc=0
timeout -k 5 "$seconds" "${qemu[@]}" -accel tcg,thread=single -smp 2 -m 2048 -nodefaults -no-reboot -display none \
	-serial "file:$share/console" -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" \
	-append "console=$console quiet panic=-1 oops=panic rdinit=/init" \
	-virtfs "local,path=$root,mount_tag=host,security_model=none,readonly=on,multidevs=remap" \
	-virtfs "local,path=$share,mount_tag=guest,security_model=none,multidevs=remap" \
	-virtfs "local,path=$PWD,mount_tag=folder,security_model=none,readonly=on,multidevs=remap" \
	</dev/null >"$share/qemu" 2>&1 || rc=$?
cat "$share/stdout" 2>/dev/null || true
cat "$share/stderr" >&2 2>/dev/null || true
if [ -s "$share/rc" ]; then
	exit "$(cat "$share/rc")"
fi
tail -n 25 "$share/qemu" "$share/console" >&2 2>/dev/null || true
[ "$rc" = 124 ] && exit 124
exit 125
