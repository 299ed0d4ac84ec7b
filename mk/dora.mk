# SPDX-License-Identifier: MIT
# Benchmark and oracle of the wire decoder.
.PHONY: bench-wire

$(B)/bench/bench_wire: tests/bench/bench_wire.c $(LIB)
	$(call msg,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -o $@ $< $(LIB) $(LIBS)

## bench-wire what the wire decoder costs per message
bench-wire: $(B)/bench/bench_wire
	$(Q)$<

# The oracle needs cargo and crates.io; it is no part of `make test`.
.PHONY: oracle
ORACLE_FRAMES ?= 20000
ORACLE_SEED   ?= 1

$(B)/oracle/check_oracle: tests/oracle/check_oracle.c $(LIB)
	$(call msg,ORACLE,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -o $@ $< $(LIB) $(LIBS)

$(B)/oracle/debug/dora-probe-oracle: $(wildcard tests/oracle/src/*.rs) tests/oracle/Cargo.toml
	$(call msg,CARGO,$@)
	$(Q)cargo build --quiet --manifest-path tests/oracle/Cargo.toml \
		--target-dir $(B)/oracle
	$(Q)touch $@

## oracle     random frames of the real dora-message crates against the decoder (needs cargo)
oracle: $(B)/oracle/check_oracle $(B)/oracle/debug/dora-probe-oracle
	$(Q)$(B)/oracle/debug/dora-probe-oracle $(ORACLE_SEED) $(ORACLE_FRAMES) > $(B)/oracle/frames.txt
	$(Q)$(B)/oracle/check_oracle < $(B)/oracle/frames.txt
