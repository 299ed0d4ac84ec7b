#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what `make bench` compares the probe with: bench_others.sh VENV. What cannot be had is said and left out.
set -eu
venv=$1
lock="-o DPkg::Lock::Timeout=600"
export DEBIAN_FRONTEND=noninteractive
for p in bpftrace strace linux-perf; do
	dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' && continue
	# shellcheck disable=SC2086
	apt-get $lock install -y -qq --no-install-recommends "$p" >/dev/null ||
		echo "  $p cannot be had: left out" >&2
done
test -x "$venv/bin/python" || python3 -m venv "$venv"
"$venv/bin/pip" -q --disable-pip-version-check install py-spy==0.4.3 ||
	echo "  py-spy cannot be had: left out" >&2
