#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the BPF programs with several releases of clang and loads each on the oldest kernels, where the verifier
# knows least: what one compiler leaves in a register, another puts on the stack.
#   clangs.sh [RELEASE...]     default: 14 16 19
set -euo pipefail
cd "$(dirname "$0")/../.."
work=build/kernels
passed=0 failed=0 skipped=0
[ $# != 0 ] || set -- 14 16 19
for v in "$@"; do
	if ! command -v "clang-$v" >/dev/null &&
		! apt-get install -y -qq --no-install-recommends "clang-$v" >/dev/null 2>&1; then
		echo "skip clang-$v: cannot be installed here"
		skipped=$((skipped + 1))
		continue
	fi
	b=build/clang-$v
	make --no-print-directory CLANG="clang-$v" B="$b" "$b/gen/dora_probe.skel.h" >"$work/clangs/clang-$v" 2>&1 || {
		echo "FAIL clang-$v: $(tail -n 3 "$work/clangs/clang-$v")"
		failed=$((failed + 1))
		continue
	}
	for suite in bullseye-security bookworm; do
		tests/kernels/get.sh "$work" "$suite" amd64 >/dev/null 2>&1 || {
			echo "skip clang-$v on $suite: no kernel"
			skipped=$((skipped + 1))
			continue
		}
		name="clang-$v, Linux $(cat "$work/$suite-amd64/release")"
		log=$work/clangs/clang-$v-$suite rc=0
		tests/kernels/boot.sh -t 180 "$work/$suite-amd64" -- "$PWD/build/kernels/verifier_figures" \
			"$PWD/$b/bpf/dora_probe.o" >"$log" 2>&1 || rc=$?
		most=$(sed -nE 's/^figures (\w+) instructions=([0-9]+) .*/\2 \1/p' "$log" | sort -n | tail -n 1)
		if [ "$rc" = 0 ] && [ -n "$most" ]; then
			echo "ok $name: dearest ${most#* }, ${most% *} instructions"
			passed=$((passed + 1))
		else
			echo "FAIL $name: $(tail -n 3 "$log")"
			failed=$((failed + 1))
		fi
	done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
