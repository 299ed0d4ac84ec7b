# SPDX-License-Identifier: MIT
# Debian's kernels in QEMU: what loads, what is seen, what it costs the verifier.
.PHONY: test-kernels kernels-parts

$(B)/kernels/verifier_figures: tests/kernels/verifier_figures.c | $(B)/deps.stamp
	$(call msg,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -o $@ $< -lbpf -lelf -lz

kernels-parts: all $(BPFTEST_BIN) $(B)/kernels/verifier_figures

## test-kernels  Debian's kernels 5.10, 6.1, 6.12 and the newest, amd64 and arm64, in QEMU (root);
##            KERNELS="SUITE/ARCH ..." for some of them, FIGURES=1 writes docs/kernels.md's table anew
test-kernels: setup-test
	$(Q)tests/setup/packages.sh kernels
	$(Q)$(MAKE) --no-print-directory kernels-parts
ifeq ($(NATIVE),amd64)
	$(Q)tests/setup/packages.sh cross
	$(Q)$(MAKE) --no-print-directory ARCH=arm64 kernels-parts
endif
	$(Q)rm -rf $(B)/kernels/log
	$(Q)tests/pytest.sh tests/kernels -n 2 --dist loadgroup --all $(foreach k,$(KERNELS),--only '$k') || rc=$$?; \
		tests/kernels/figures.py $(if $(FIGURES),--write docs/kernels.md) $(B)/kernels/log/*-*; exit $${rc:-0}

# What `make test` runs of it: Debian 12's kernel, where QEMU can be installed.
.PHONY: kernels-slice
kernels-slice:
	$(Q)if tests/setup/packages.sh kernels; then \
		$(MAKE) --no-print-directory kernels-parts && tests/pytest.sh tests/kernels; \
	else \
		echo "skip kernels: QEMU cannot be installed here"; \
		echo "0 passed, 0 failed, 1 skipped"; \
	fi

.PHONY: test-clangs test-debian test-layouts
## test-clangs  the BPF programs built by clang 14, 16 and 19, loaded on Linux 5.10 and 6.1 (root)
test-clangs:
	$(Q)tests/setup/packages.sh kernels
	$(Q)$(MAKE) --no-print-directory kernels-parts
	$(Q)mkdir -p $(B)/kernels/clangs
	$(Q)tests/kernels/clangs.sh $(CLANGS)

## test-debian  builds in fresh systems of Debian 12 and 13, and what Debian 11 says (root); SUITES=...
test-debian:
	$(Q)tests/setup/packages.sh kernels
	$(Q)command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	$(Q)tests/debian/run.sh $(SUITES)

## test-layouts  the layout tables against the headers of the CPythons that Debian has, amd64 and arm64
test-layouts: all
ifeq ($(NATIVE),amd64)
	$(Q)tests/setup/packages.sh cross
	$(Q)$(MAKE) --no-print-directory ARCH=arm64
endif
	$(Q)tests/layout/run.sh $(if $(filter amd64,$(NATIVE)),amd64 arm64,$(NATIVE))
