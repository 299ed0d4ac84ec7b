# SPDX-License-Identifier: MIT
# dora-probe. `make help` lists the targets; V=1 shows the commands.

B       := build
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
VERSION := $(shell cat VERSION)

# ARCH=arm64 on another machine cross-builds into build/arm64, against Debian's packages in build/arm64/root.
NATIVE := $(shell uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
ARCH   ?= $(NATIVE)
ifneq ($(filter $(ARCH),amd64 arm64),$(ARCH))
$(error ARCH is amd64 or arm64, not '$(ARCH)')
endif
BPF_ARCH := $(ARCH:amd64=x86)
ifneq ($(ARCH),$(NATIVE))
ifneq ($(ARCH),arm64)
$(error cross-building is prepared for ARCH=arm64 only)
endif
B    := build/arm64
ROOT := $(CURDIR)/$(B)/root
CC   := aarch64-linux-gnu-gcc --sysroot=$(ROOT)
AR   := aarch64-linux-gnu-ar
# Runs a program of the other architecture on this machine: user emulation, without bpf(2).
RUN  := qemu-aarch64-static -L $(ROOT)
endif
ifeq ($(origin CC),default)
CC := gcc
endif

ifeq ($(V),1)
Q   :=
msg  =
else
Q   := @
msg  = @printf '  %-8s %s\n' $(1) $(2)
endif

# WERROR=1 makes warnings errors: `make test` and the linters do; a newer compiler stops nobody's build.
WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
CFLAGS  ?= -O2 -g
# Whoever sets a level of his own (CPPFLAGS, CFLAGS, SANITIZE) has it.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS) $(SANITIZE)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
# The same commit gives the same bytes in every folder.
SAME    := -ffile-prefix-map=$(CURDIR)=.
CFLAGS_ := -std=gnu17 $(WARN) -D_GNU_SOURCE -DDP_VERSION='"$(VERSION)"' -Iinclude -Iagent -I$(B)/gen \
           -fstack-protector-strong $(FORTIFY) $(CPPFLAGS) $(SANITIZE)
LIBS    := -lbpf -lelf -lz -lyaml -lcap -lseccomp -lmicrohttpd -lncursesw -ltinfo $(EXTRA_LIBS)
TLIBS   := -lcmocka

BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_HDR := $(wildcard bpf/*.h) $(wildcard include/dora_probe/*.h)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.bpf.o)
SKEL    := $(B)/gen/dora_probe.skel.h

AGENT_SRC := $(filter-out agent/main.c,$(wildcard agent/*/*.c))
AGENT_OBJ := $(AGENT_SRC:%.c=$(B)/obj/%.o)
MAIN_OBJ  := $(B)/obj/agent/main.o
LIB       := $(B)/libdora_probe.a
UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
BPFTEST_SRC := $(wildcard tests/bpf/test_*.c)
BPFTEST_BIN := $(BPFTEST_SRC:tests/bpf/%.c=$(B)/bpftest/%)

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all help clean test unit bpf-test e2e bench demo

all: $(B)/dora-probe

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## all        build build/dora-probe (default)
$(B)/dora-probe: $(MAIN_OBJ) $(LIB)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(MAIN_OBJ) $(LIB) $(LIBS)

$(LIB): $(AGENT_OBJ)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(AGENT_OBJ)

# With another compiler or other flags (make CC=clang) everything is compiled anew.
COMPILED_BY := $(CC) $(CFLAGS) $(filter-out -Werror,$(CFLAGS_))
ifneq ($(COMPILED_BY),$(file <$(B)/compiler.stamp))
$(shell mkdir -p $(B))
$(file >$(B)/compiler.stamp,$(COMPILED_BY))
endif

$(B)/obj/%.o: %.c Makefile VERSION $(B)/compiler.stamp | $(B)/deps.stamp
	$(call msg,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) $(SAME) -MMD -MP -c -o $@ $<

# Only these files include the skeleton.
SKEL_SRC := $(addprefix agent/sense/bpf_,early.c source.c attach.c trial.c maps.c edges.c losses.c)
$(SKEL_SRC:%.c=$(B)/obj/%.o): $(SKEL)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(BPF_HDR) Makefile | $(B)/deps.stamp
	$(call msg,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -Wall -Wextra $(if $(WERROR),-Werror) $(SAME) -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -mcpu=v3 \
		-Iinclude -Ibpf -c -o $@ $<

$(SKEL): $(BPF_OBJ)
	$(call msg,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen object $(B)/bpf/dora_probe.o $(BPF_OBJ)
	$(Q)$(BPFTOOL) gen skeleton $(B)/bpf/dora_probe.o name dora_probe_bpf > $@

## deps       install what a build needs (Debian and its derivatives; root). demo and test do it too
.PHONY: deps
deps:
	$(Q)tests/setup/requirements.sh system
	$(Q)tests/setup/packages.sh $(if $(ROOT),cross,build)

# Says what is missing before anything is compiled, and installs nothing.
$(B)/deps.stamp: tests/setup/requirements.sh $(if $(ROOT),tests/setup/arm64_root.sh)
	$(Q)mkdir -p $(B)
	$(Q)tests/setup/requirements.sh system
	$(Q)CC="$(firstword $(CC))" CLANG="$(CLANG)" BPFTOOL="$(BPFTOOL)" tests/setup/requirements.sh build
	$(if $(ROOT),$(Q)tests/setup/arm64_root.sh $(ROOT))
	$(Q)touch $@

## unit       unit tests (no privileges)
$(B)/unit/%: tests/unit/%.c $(LIB)
	$(call msg,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -Itests/unit -MMD -MP -o $@ $< $(LIB) $(LIBS) $(TLIBS)

$(B)/bpftest/%: tests/bpf/%.c $(LIB)
	$(call msg,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -Itests/unit -MMD -MP -o $@ $< $(LIB) $(LIBS) $(TLIBS)

unit: $(UNIT_BIN)
ifdef RUN
	$(Q)tests/setup/emulated_units.sh "$(RUN)" $^
else
	$(Q)for t in $^; do $$t || rc=1; done; exit $${rc:-0}
endif

## bpf-test   load and attach the real programs, by both ways of the sources (root)
bpf-test: $(BPFTEST_BIN)
	$(Q)for t in $^; do $$t || rc=1; DORA_PROBE_SOURCES=syscalls $$t || rc=1; done; \
		DP_TEST_SHM_IN_FOLDER=1 $(B)/bpftest/test_process || rc=1; exit $${rc:-0}

clean:
	$(Q)rm -rf $(B)

-include $(wildcard mk/*.mk)
-include $(AGENT_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(UNIT_BIN:=.d) $(BPFTEST_BIN:=.d)
