#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# First program of a guest (boot.sh): the host's files by 9p, read-only under an overlay in memory, then
# the script that lies in the shared folder. Nothing that a guest writes elsewhere reaches the host.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r m; do insmod "/mod/$m"; done </mod/list
# The devices appear when their modules are there: wait for each of the two shares.
nine=version=9p2000.L,trans=virtio,msize=512000
i=0
until mount -t 9p -o "$nine,cache=loose,ro" host /lower 2>/dev/null; do
	i=$((i + 1))
	[ $i = 100 ] && echo "init: no share named host" && poweroff -f
	usleep 100000
done
mkdir -p /rw
mount -t tmpfs tmpfs /rw
mkdir -p /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /root
mkdir -p /root/run-guest
mount -t 9p -o "$nine,rw" guest /root/run-guest
for d in proc sys dev run; do mkdir -p "/root/$d"; done
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts devpts /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
mount -t tmpfs tmp /root/tmp
# Over the guest's own /tmp, should the checkout lie there.
folder=/root$(cat /root/run-guest/folder)
mkdir -p "$folder"
mount -t 9p -o "$nine,cache=loose,ro" folder "$folder"
mount -t debugfs debugfs /root/sys/kernel/debug
mount -t tracefs tracefs /root/sys/kernel/tracing
mount -t bpf bpf /root/sys/fs/bpf
mount -t securityfs sec /root/sys/kernel/security
mount -t cgroup2 cgroup /root/sys/fs/cgroup
ifconfig lo 127.0.0.1 up
exec switch_root /root /bin/sh /run-guest/start
