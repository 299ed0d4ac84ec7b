# SPDX-License-Identifier: MIT
# libFuzzer harnesses: clang's fuzzer, address and undefined-behaviour sanitizers, each harness for
# FUZZ_SECONDS. The corpus stays in the build directory and grows from run to run.
.PHONY: fuzz

FUZZ_SECONDS ?= 30
FUZZ_SAN     := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SRC     := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN     := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
FUZZ_OBJ     := $(AGENT_SRC:%.c=$(B)/fuzz/obj/%.o)

$(SKEL_SRC:%.c=$(B)/fuzz/obj/%.o): $(SKEL)

$(B)/fuzz/deps.stamp: tests/setup/packages.sh
	$(Q)mkdir -p $(@D)
	$(Q)tests/setup/packages.sh fuzz
	$(Q)touch $@

$(B)/fuzz/obj/%.o: %.c Makefile | $(B)/fuzz/deps.stamp
	$(call msg,FUZZ-CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -O1 -g $(filter-out -O%,$(CFLAGS_)) -U_FORTIFY_SOURCE $(FUZZ_SAN) \
		-fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(B)/fuzz/libfuzz.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $(FUZZ_OBJ)

$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(B)/fuzz/libfuzz.a
	$(call msg,FUZZ,$@)
	$(Q)$(CLANG) -O1 -g $(CFLAGS_) -U_FORTIFY_SOURCE $(FUZZ_SAN) -fsanitize=fuzzer -o $@ $< \
		$(B)/fuzz/libfuzz.a $(LIBS)

$(B)/fuzz/seeds.stamp: tests/fuzz/seeds.py $(wildcard tests/unit/golden/*) $(wildcard tests/recordings/*/recording.rec.xz)
	$(Q)mkdir -p $(@D)
	$(Q)python3 tests/fuzz/seeds.py tests/unit/golden $(B)/fuzz/seeds tests/recordings
	$(Q)touch $@

## fuzz       libFuzzer on everything that reads foreign bytes (FUZZ_SECONDS=30 each)
fuzz: $(FUZZ_BIN) $(B)/fuzz/seeds.stamp
	$(Q)for f in $(FUZZ_BIN); do \
		n=$${f##*/fuzz_}; \
		mkdir -p $(B)/fuzz/corpus/$$n $(B)/fuzz/seeds/$$n $(B)/fuzz/found; \
		echo "  FUZZ     $$n for $(FUZZ_SECONDS) s"; \
		$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=16384 -close_fd_mask=3 \
			-print_final_stats=1 -verbosity=0 -artifact_prefix=$(B)/fuzz/found/$$n- \
			$(B)/fuzz/corpus/$$n $(B)/fuzz/seeds/$$n || exit 1; \
	done

-include $(FUZZ_OBJ:.o=.d)
