# SPDX-License-Identifier: MIT
# Where things go when they are installed, and the packages.
.PHONY: install uninstall install-test deb rpm wheel package-test

PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
DATADIR  ?= $(PREFIX)/share
MANDIR   ?= $(DATADIR)/man
DOCDIR   ?= $(DATADIR)/doc/dora-probe
UNITDIR  ?= $(PREFIX)/lib/systemd/system
BASHDIR  ?= $(DATADIR)/bash-completion/completions
ZSHDIR   ?= $(DATADIR)/zsh/site-functions
FISHDIR  ?= $(DATADIR)/fish/vendor_completions.d
SHAREDIR ?= $(DATADIR)/dora-probe

# DESTINATION:SOURCE:MODE of every file; uninstall removes the same list.
INSTALLED := \
	$(BINDIR)/dora-probe:$(B)/dora-probe:755 \
	$(MANDIR)/man8/dora-probe.8:agent/dist/dora-probe.8:644 \
	$(UNITDIR)/dora-probe.service:$(B)/dora-probe.service:644 \
	$(BASHDIR)/dora-probe:agent/dist/dora-probe.bash:644 \
	$(ZSHDIR)/_dora-probe:agent/dist/_dora-probe:644 \
	$(FISHDIR)/dora-probe.fish:agent/dist/dora-probe.fish:644 \
	$(foreach f,fleet node probe-health,$(SHAREDIR)/dashboards/$(f).json:dashboards/$(f).json:644) \
	$(foreach f,alerts.yml prometheus.yml alertmanager.yml,$(SHAREDIR)/$(f):dashboards/$(f):644) \
	$(foreach f,README.md CHANGELOG.md SECURITY.md,$(DOCDIR)/$(f):$(f):644) \
	$(foreach f,runbook.md metrics.md,$(DOCDIR)/$(f):dashboards/$(f):644) \
	$(DOCDIR)/json.md:docs/json.md:644

$(B)/dora-probe.service: agent/dist/dora-probe.service mk/install.mk FORCE
	$(Q)mkdir -p $(@D)
	$(Q)sed 's|^ExecStart=/usr/bin/|ExecStart=$(BINDIR)/|' $< >$@
.PHONY: FORCE
FORCE:

## install    into PREFIX (/usr/local) below DESTDIR: program, manual page, systemd unit, completions for bash,
##            zsh and fish, dashboards, alert rules; uninstall removes the same files
install: all $(B)/dora-probe.service
	$(Q)for one in $(INSTALLED); do \
		mode=$${one##*:} to=$${one%%:*} from=$${one#*:}; \
		install -D -m "$$mode" "$${from%:*}" "$(DESTDIR)$$to" || exit 1; \
	done
	$(call msg,INSTALL,$(DESTDIR)$(BINDIR)/dora-probe)

uninstall:
	$(Q)for one in $(INSTALLED); do rm -f "$(DESTDIR)$${one%%:*}"; done
	$(Q)rmdir "$(DESTDIR)$(SHAREDIR)/dashboards" "$(DESTDIR)$(SHAREDIR)" "$(DESTDIR)$(DOCDIR)" 2>/dev/null || true
	$(call msg,REMOVED,$(DESTDIR)$(BINDIR)/dora-probe)

## deb        a Debian package of the commit (build/packages)
deb:
	$(Q)tests/setup/packages.sh deb
	$(Q)agent/dist/deb.sh build/packages

## package-test  packages built, installed, run, upgraded and removed in fresh systems (root; SUITES=...)
package-test:
	$(Q)command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	$(Q)tests/package/debian.sh $(SUITES)
	$(Q)tests/package/container.sh
	$(Q)tests/package/wheel.sh

## wheel      a wheel for PyPI with the one binary, for glibc 2.31 and later (build/packages; root; WHEELS="amd64 arm64")
wheel: all
	$(Q)tests/setup/packages.sh kernels
	$(Q)command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
	$(Q)agent/dist/wheel.sh build/packages $(WHEELS)
