# SPDX-License-Identifier: MIT
# Debian's kernels in QEMU: what loads, what is seen, what it costs the verifier.
.PHONY: test-kernels kernels-parts

$(B)/kernels/verifier_figures: tests/kernels/verifier_figures.c | $(B)/deps.stamp
	$(call msg,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(filter-out -Iagent,$(CFLAGS_)) -o $@ $< -lbpf -lelf -lz

kernels-parts: all $(BPFTEST_BIN) $(B)/kernels/verifier_figures

## test-kernels  Debian's kernels 5.10, 6.1, 6.12 and the newest, amd64 and arm64, in QEMU (root)
test-kernels: setup-test
	$(Q)tests/setup/packages.sh kernels
	$(Q)$(MAKE) --no-print-directory kernels-parts
	$(Q)tests/kernels/run.sh $(KERNELS)
