#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make test`: sets up, builds, runs every part, and ends with one line that sums them up:
#   N passed, N failed[, N skipped]
set -euo pipefail
cd "$(dirname "$0")/../.."

export DP_TEST_LOG=build/test-log
mkdir -p "$DP_TEST_LOG"
. tests/setup/parts.sh

jobs=-j$(nproc)
export WERROR=1

tests/setup/packages.sh test
# From PyPI, while the compilers run.
# shellcheck disable=SC2086
tests/setup/dora_env.sh ${TEST_DORA:-0.5.0 0.4.1 1.1.0} &
dora=$!
make --no-print-directory "$jobs" all
# What does not compile fails in its part.
make --no-print-directory "$jobs" -k test-programs >"$DP_TEST_LOG/build.log" 2>&1 || true
wait "$dora"

# What continuous integration wants besides (.ci/run).
if [ -n "${TEST_HABITS:-}" ]; then
	part lint make --no-print-directory lint
	part clang make --no-print-directory -k clang
	part asan-unit make --no-print-directory asan-unit
fi
export DORA_PROBE_TEST_DORA=$PWD/build/env/0.5.0
# The emulated machine computes for three minutes, and the others mostly wait. It gives way to them, but not all: a guest that
# gets next to nothing reports stalls of its own. What is started in the background would ignore SIGINT.
run_part kernels env --default-signal=INT,QUIT nice -n 5 make --no-print-directory kernels-slice &
kernels=$!
part unit make --no-print-directory -k unit
part recordings tests/recordings/test_recordings.py
part bpf make --no-print-directory -k bpf-test
part matrix make --no-print-directory matrix-slice
part install tests/pytest.sh tests/package
part selftest tests/pytest.sh tests/e2e/selftest.py tests/tools
part view tests/e2e/view_test.py
wait "$kernels"
tell_part kernels
part bad-input tests/e2e/bad_input.py -n 2
part fault tests/pytest.sh tests/fault/test_faults.py tests/fault/test_start.py -n 2
# Compares times of two runs: nothing beside it.
part hostile tests/pytest.sh tests/fault/test_hostile.py
part e2e tests/e2e/run.py -j "${E2E_JOBS:-2}"

sum_up
