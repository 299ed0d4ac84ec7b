#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `make test`: sets up, builds, runs every part, and ends with one line that sums them up:
#   N passed, N failed[, N skipped]
set -euo pipefail
cd "$(dirname "$0")/../.."

export DP_TEST_LOG=build/test-log
mkdir -p "$DP_TEST_LOG"
. tests/setup/parts.sh

tests/setup/packages.sh test
# shellcheck disable=SC2086
tests/setup/dora_env.sh ${TEST_DORA:-0.5.0 0.4.1 1.1.0}
export WERROR=1
make --no-print-directory all

# What continuous integration wants besides (.ci/run).
if [ -n "${TEST_HABITS:-}" ]; then
	part lint make --no-print-directory lint
	part clang make --no-print-directory -k clang
	part asan-unit make --no-print-directory asan-unit
fi
part unit make --no-print-directory -k unit
part recordings tests/recordings/test_recordings.py
export DORA_PROBE_TEST_DORA=$PWD/build/env/0.5.0
part bpf make --no-print-directory -k bpf-test
part kernels make --no-print-directory kernels-slice
part matrix make --no-print-directory matrix-slice
part install tests/pytest.sh tests/package
part selftest tests/pytest.sh tests/e2e/selftest.py tests/tools
part bad-input tests/e2e/bad_input.py
part fault tests/pytest.sh tests/fault
part view tests/e2e/view_test.py
part e2e tests/e2e/run.py -j "${E2E_JOBS:-2}"

sum_up
