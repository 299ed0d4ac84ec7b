# SPDX-License-Identifier: MIT
# What the model costs, from a golden recording or another one: BENCH_RECORDING=FILE.
.PHONY: bench-model

BENCH_RECORDING ?= $(B)/bench/losses.rec

$(B)/bench/bench_model: tests/bench/bench_model.c $(LIB)
	$(call msg,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -o $@ $< $(LIB) $(LIBS)

# The largest golden recording.
$(B)/bench/losses.rec: tests/recordings/losses/recording.rec.xz
	$(Q)mkdir -p $(@D)
	$(Q)xz -dkc $< > $@

## bench-model what the model costs per record (BENCH_RECORDING=FILE)
bench-model: $(B)/bench/bench_model $(BENCH_RECORDING)
	$(Q)$< $(BENCH_RECORDING)

# Exact, whatever else the machine does; some seconds. The data's own time is another matter: bench_model FILE ROUNDS cold.
.PHONY: bench-instructions
## bench-instructions  instructions of the model for that recording, by callgrind (needs valgrind)
bench-instructions: $(B)/bench/bench_model $(BENCH_RECORDING)
	$(Q)valgrind --tool=callgrind --callgrind-out-file=$(B)/bench/callgrind.out --toggle-collect=dp_model_feed \
		$< $(BENCH_RECORDING) 1 2>&1 | sed -n 's/ requests:.*/ requests/p;s/.*Collected : /instructions: /p'
