# SPDX-License-Identifier: MIT
# Everything that exercises the built binary as a user does.

DORA     ?= 0.5.0
# Makes some scenarios run beside each other; most of their time is waiting.
E2E_JOBS ?= 2
# Releases that `make test` needs: the one under test, and the one with the drop rendezvous.
TEST_DORA := $(DORA) 0.4.1 1.1.0
MATRIX    := 0.3.12 0.4.1 0.5.0 1.1.0
E2E_ARGS  ?=

.PHONY: setup setup-test selftest bad-input view-test matrix test-parts

$(B)/test-deps.stamp: tests/setup/packages.sh
	$(Q)mkdir -p $(B)
	$(Q)tests/setup/packages.sh test
	$(Q)touch $@

setup-test: $(B)/test-deps.stamp
	$(Q)tests/setup/dora_env.sh $(TEST_DORA)

## test       all tests (root): unit, kernel programs, bad input, end to end with real dora
test:
	$(Q)tests/setup/run_tests.sh

## e2e        end-to-end tests with real dora (root); E2E_ARGS="--only NAME --seed N"
e2e: setup-test all selftest
	$(Q)tests/e2e/run.py -j $(E2E_JOBS) $(E2E_ARGS)

## selftest   shows that the checkers of the end-to-end tests can fail
selftest:
	$(Q)tests/e2e/selftest.py

## bad-input  wrong targets, wrong options, missing rights (root)
bad-input: setup-test all
	$(Q)tests/e2e/bad_input.py

## view-test  the live view in real terminals (root)
view-test: setup-test all
	$(Q)tests/e2e/view_test.py

## fault      targets that cannot be read, and other faults: what they cost the others (root)
.PHONY: fault
fault: setup-test all
	$(Q)tests/pytest.sh tests/fault

.PHONY: setup-demo
setup-demo: $(B)/test-deps.stamp
	$(Q)tests/setup/dora_env.sh $(DORA)

## demo       a real dataflow with a stuck node, watched by dora-probe (root)
demo: setup-demo all
	$(Q)tests/demo/demo.py

$(B)/bench/strangers $(B)/bench/flood: $(B)/bench/%: tests/bench/%.c Makefile
	$(call msg,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 $(WARN) -O2 -o $@ $<

# What the probe is compared with. Without a network, or where Debian does not have one, it is left out.
$(B)/bench/others.stamp: tests/setup/bench_others.sh
	$(Q)mkdir -p $(@D)
	$(Q)tests/setup/bench_others.sh $(B)/bench/venv
	$(Q)touch $@

## bench      every promised number, measured, with its method (root); BENCH_ARGS="--only NAME --rounds N"
bench: setup-test all $(B)/bench/strangers $(B)/bench/flood $(B)/bench/others.stamp
	$(Q)tests/bench/bench.py $(BENCH_ARGS)

## bench-truth  are causes true and the guard's acts right? random scenarios beside control runs (root)
.PHONY: bench-truth
bench-truth: setup-test all
	$(Q)tests/bench/bench_truth.py $(BENCH_ARGS)

## matrix     all scenarios with every supported dora release (root)
matrix: $(B)/test-deps.stamp all
	$(Q)tests/setup/dora_env.sh $(MATRIX)
	$(Q)tests/e2e/run.py -j $(E2E_JOBS) $(addprefix --dora ,$(MATRIX)) $(E2E_ARGS)
