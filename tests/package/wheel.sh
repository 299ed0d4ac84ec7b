#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The wheel in fresh Debian systems, which have Python and nothing of the build: installed by pip into a virtual
# environment, run as root, watching that system's own Python, and removed. The kernel is this machine's.
#   wheel.sh [SUITE...]      default: bullseye bookworm trixie
# Not by pytest: what is tried is a shell's work in a chroot, where no pytest is; test_*.py here has the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
work=$PWD/build/package-test
mkdir -p "$work"
version=$(cat VERSION)
wheel=build/packages/dora_probe-$version-py3-none-manylinux_2_31_$(uname -m).whl
# Of this commit: one that lies there may be of another.
agent/dist/wheel.sh build/packages

# From pip to the first line of a watch, in whole milliseconds.
# shellcheck disable=SC2016
first_line='
	begin=$(date +%s%N)
	/venv/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-index --no-deps /packages/*.whl
	/venv/bin/python3 -c "import time; time.sleep(30)" & target=$!
	sleep 0.3
	/venv/bin/dora-probe --pid $target --json >/tmp/lines & probe=$!
	while ! grep -q "\"event\":\"node\"" /tmp/lines; do kill -0 $probe || exit 1; sleep 0.02; done
	echo "took $(( ($(date +%s%N) - begin) / 1000000 )) ms"
	kill -INT $probe; wait $probe; kill $target'

[ $# != 0 ] || set -- bullseye bookworm trixie
for suite in "$@"; do
	root=$work/$suite-wheel
	if ! chroot_make "$root" "$suite" python3,python3-venv; then
		skip "$suite: $(tail -n 1 "$root.log")"
		continue
	fi
	mkdir -p "$root/packages"
	cp "$wheel" "$root/packages/"
	inside "$root" "python3 -m venv /venv"
	must "$suite: pip install to the first line" inside "$root" "$first_line" || continue
	took=$(inside "$root" "/venv/bin/pip -q uninstall -y dora-probe; $first_line" | sed -n 's/^took //p')
	echo "   $suite: $(inside "$root" "python3 -V"), pip install to the first line in $took"
	check "$suite: in less than 5 s" test "${took% ms}" -lt 5000
	check "$suite: list" inside "$root" "/venv/bin/dora-probe list"
	check "$suite: doctor" inside "$root" "/venv/bin/dora-probe doctor"
	check "$suite: pip uninstall" inside "$root" "/venv/bin/pip -q uninstall -y dora-probe && ! test -e /venv/bin/dora-probe"
	rm -rf --one-file-system "$root"
done
summary
