# SPDX-License-Identifier: MIT
# Linters, a second compiler, sanitizers, coverage.
.PHONY: docs docs-check lint format format-check shape tidy shellcheck ruff

C_FILES   := $(wildcard agent/*/*.[ch] agent/*.[ch] bpf/*.[ch] include/*/*.h tests/*/*.[ch])
C_SOURCES := $(AGENT_SRC) agent/main.c $(UNIT_SRC) $(BPFTEST_SRC) $(wildcard tests/fuzz/*.c tests/bench/bench_*.c \
	tests/dashboards/*.c tests/oracle/*.c tests/kernels/*.c)
SHELL_FILES := $(wildcard .ci/run tests/*/*.sh)
LINT_VENV := $(B)/lint-venv
TIDY      ?= clang-tidy
# Sources at once, of so many processors.
JOBS      := $(shell nproc)

$(B)/lint.stamp: tests/setup/packages.sh tests/setup/lint-requirements.txt
	$(call msg,DEPS,lint)
	$(Q)mkdir -p $(@D)
	$(Q)tests/setup/packages.sh lint
	$(Q)test -x $(LINT_VENV)/bin/python || python3 -m venv $(LINT_VENV)
	$(Q)$(LINT_VENV)/bin/pip -q --disable-pip-version-check install -r tests/setup/lint-requirements.txt
	$(Q)touch $@

## lint       clang-format, clang-tidy, shellcheck, ruff, lengths of files and functions, generated documents
lint: format-check shape tidy shellcheck ruff docs-check

## docs       write what comes from the code's lists: JSON fields, schema, OPTIONS of the manual page, completions, metrics
docs: all $(DASH_BIN)/list_metrics
	$(Q)tests/tools/docs.py

docs-check: all $(DASH_BIN)/list_metrics
	$(call msg,DOCS,'json manual completions metrics')
	$(Q)tests/tools/docs.py --check

# A list that is a macro of calls comes to rest only after several rounds.
## format     write the C sources as .clang-format wants them
format: $(B)/lint.stamp
	$(Q)for i in 1 2 3 4 5 6 7 8 9; do \
		$(LINT_VENV)/bin/clang-format -i $(C_FILES) && \
		! $(LINT_VENV)/bin/clang-format --dry-run --Werror $(C_FILES) 2>/dev/null || break; \
	done

format-check: $(B)/lint.stamp
	$(call msg,FORMAT,'$(words $(C_FILES)) files')
	$(Q)$(LINT_VENV)/bin/clang-format --dry-run --Werror $(C_FILES)

shape:
	$(call msg,SHAPE,'agent bpf include tests')
	$(Q)tests/pytest.sh tests/tools
	$(Q)tests/tools/shape.py

# SKEL_SRC includes the skeleton, so the BPF object is built first.
tidy: $(B)/lint.stamp $(SKEL) compile_commands.json
	$(call msg,TIDY,'$(words $(C_SOURCES)) files')
	$(Q)printf '%s\n' $(C_SOURCES) | xargs -P$(JOBS) -n6 $(TIDY) --quiet -p compile_commands.json 2>$(B)/tidy.log || \
		{ cat $(B)/tidy.log >&2; exit 1; }

# A file at a time: of several in one process the checker of va_list mixes up the states. Left out: what would have memcpy_s in
# place of memcpy, which glibc has not; structs in another order to save bytes.
## analyze    clang's static analyzer over the agent; some minutes
.PHONY: analyze
analyze: $(B)/lint.stamp $(SKEL) compile_commands.json
	$(call msg,ANALYZE,'$(words $(AGENT_SRC)) files')
	$(Q)printf '%s\n' $(AGENT_SRC) agent/main.c | xargs -P$(JOBS) -n1 $(TIDY) --quiet -p compile_commands.json \
		--checks='-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.*,-clang-analyzer-optin.performance.Padding' \
		2>$(B)/analyze.log || { cat $(B)/analyze.log >&2; exit 1; }

shellcheck: $(B)/lint.stamp
	$(call msg,SHELL,'$(words $(SHELL_FILES)) files')
	$(Q)shellcheck $(SHELL_FILES)

ruff: $(B)/lint.stamp
	$(call msg,RUFF,'tests dashboards')
	$(Q)$(LINT_VENV)/bin/ruff check --quiet --output-format concise --cache-dir $(B)/ruff-cache tests dashboards

## compile_commands.json  what is run for each C source, for clang-tidy and editors
compile_commands.json: $(MAKEFILE_LIST) tests/tools/compile_commands.py $(C_SOURCES)
	$(Q)tests/tools/compile_commands.py clang $(CFLAGS) $(CFLAGS_) -Itests/unit -Itests/dashboards \
		-- $(C_SOURCES) >$@

# ---- other builds, each in a folder of its own ----------------------------------------------------
.PHONY: clang asan asan-unit tsan coverage sanitize-deps

TEST_BINS = $(UNIT_BIN) $(BPFTEST_BIN)
BESIDES   = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) CC=clang
ASAN := B=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -U_FORTIFY_SOURCE"
TSAN := B=build/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=thread -U_FORTIFY_SOURCE"
COVERAGE := B=build/coverage CFLAGS="-O0 -g" \
	SANITIZE="-fprofile-instr-generate -fcoverage-mapping -U_FORTIFY_SOURCE"

.PHONY: test-programs
test-programs: all $(TEST_BINS)

sanitize-deps:
	$(Q)tests/setup/packages.sh sanitize

## clang      everything compiled by clang, its unit tests (build/clang)
clang: sanitize-deps
	$(Q)$(BESIDES) B=build/clang test-programs
	$(Q)$(BESIDES) B=build/clang unit

## asan       unit, kernel, bad-input and some end-to-end tests with address and undefined-behaviour
##            sanitizers (root; build/asan); asan-unit: the part without privileges
asan: setup-test sanitize-deps
	$(Q)$(BESIDES) $(ASAN) test-programs
	$(Q)tests/setup/sanitized.sh asan build/asan

asan-unit: sanitize-deps
	$(Q)$(BESIDES) $(ASAN) test-programs
	$(Q)tests/setup/sanitized.sh asan-unit build/asan

## tsan       the threads that arm and disarm, with the thread sanitizer (root; build/tsan)
tsan: setup-test sanitize-deps
	$(Q)$(BESIDES) $(TSAN) test-programs
	$(Q)tests/setup/sanitized.sh tsan build/tsan

## coverage   lines that unit tests, recordings and, as root, kernel tests run: per folder and in all
coverage: sanitize-deps
	$(Q)$(BESIDES) $(COVERAGE) test-programs
	$(Q)tests/setup/coverage.sh build/coverage
