#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Makes build/env/VERSION: a private Python environment with one dora release from PyPI.
#   dora_env.sh VERSION...      (0.5.0; also 0.3.12, 0.4.1, 1.1.0)
# Prints nothing when the environment is there already.
set -euo pipefail

cd "$(dirname "$0")/../.."
[ $# -ge 1 ] || { echo "usage: dora_env.sh VERSION..." >&2; exit 2; }

make_env() {
	local version=$1 env="$envs/$1" log
	[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([a-z0-9.-]*)$ ]] || {
		echo "dora_env.sh: '$version' is no version" >&2
		return 2
	}
	# The stamp is written last and names the place: an environment that was moved, or that an
	# interrupted run left half made, is made anew.
	if [ "$(cat "$env/.complete" 2>/dev/null)" = "$env" ]; then
		return 0
	fi
	if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
		tests/setup/packages.sh test
	fi
	echo "  ENV      dora $version in build/env/$version"
	rm -rf "$env"
	mkdir -p "$(dirname "$env")"
	log=$(mktemp)
	python3 -m venv "$env"
	if ! "$env/bin/pip" install --disable-pip-version-check -q \
		"dora-rs==$version" "dora-rs-cli==$version" pyarrow >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		echo "dora_env.sh: dora $version could not be installed from PyPI" >&2
		return 1
	fi
	rm -f "$log"
	"$env/bin/python" -c 'import dora, pyarrow'
	echo "$env" >"$env/.complete"
}

# build/env may be a link to that of another work tree. Two runs at once must not build the same environment.
mkdir -p build/env
envs=$(cd build/env && pwd -P)
exec 9>"$envs/.lock"
flock 9
for version in "$@"; do
	make_env "$version"
done
