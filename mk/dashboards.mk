# SPDX-License-Identifier: MIT
# The endpoint's tests with the real Prometheus and Alertmanager, the dashboards, the field demo.

DASH_BIN   := $(B)/dashboards
DASH_VENV  := $(B)/dash-venv
DASH_NPM   := $(B)/dash-npm
DASH_DEPS  := $(B)/dash-deps.stamp
DASH_TOOLS := $(DASH_BIN)/exporter_sim $(DASH_BIN)/list_metrics

.PHONY: dashboards-test dashboards-render dashboards-generate field-demo bench-http

$(DASH_BIN)/%: tests/dashboards/%.c tests/dashboards/sim_robot.c tests/dashboards/sim_robot.h $(LIB)
	$(call msg,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -Itests/dashboards -o $@ $< tests/dashboards/sim_robot.c \
		$(LIB) -lmicrohttpd -lz

# The versions are those that the checks were tried with.
$(DASH_DEPS): mk/dashboards.mk tests/setup/packages.sh tests/dashboards/npm/package.json
	$(call msg,DEPS,dashboards)
	$(Q)mkdir -p $(DASH_NPM)
	$(Q)tests/setup/packages.sh dashboards
	$(Q)test -x $(DASH_VENV)/bin/python || python3 -m venv $(DASH_VENV)
	$(Q)$(DASH_VENV)/bin/pip -q --disable-pip-version-check install prometheus_client==0.26.0
	$(Q)cp tests/dashboards/npm/package.json $(DASH_NPM)/
	$(Q)cd $(DASH_NPM) && npm install --silent --ignore-scripts --no-audit --no-fund
	$(Q)touch $@

## dashboards-generate  write the dashboards' JSON and the table of metrics anew
dashboards-generate: $(DASH_TOOLS)
	$(Q)python3 dashboards/generate.py
	$(Q)$(DASH_BIN)/list_metrics > dashboards/metrics.md

## dashboards-test      endpoint, rules and dashboards against the real Prometheus and Alertmanager
dashboards-test: $(DASH_TOOLS) $(DASH_DEPS)
	$(Q)tests/pytest.sh tests/dashboards

## bench-http           cost of a scrape; what hostile clients do to the loop
bench-http: $(B)/bench/bench_http
	$(Q)$<

$(B)/bench/bench_http: tests/bench/bench_http.c tests/dashboards/sim_robot.c tests/dashboards/sim_robot.h $(LIB)
	$(call msg,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(CFLAGS_) -Itests/dashboards -o $@ $< tests/dashboards/sim_robot.c \
		$(LIB) -lmicrohttpd -lz

## field-demo           a stuck node, the probe, Prometheus and Alertmanager: see the alerts fire (root)
field-demo: $(B)/dora-probe $(DASH_DEPS)
	$(Q)tests/setup/dora_env.sh 0.5.0
	$(Q)$(DASH_VENV)/bin/python tests/dashboards/field_demo.py --work $(B)/field-demo

# Half a gigabyte of Grafana's front end, by npm: not part of any other target.
DASH_RENDER := $(B)/dash-render
$(B)/dash-render.stamp: tests/dashboards/render/package.json $(DASH_DEPS)
	$(call msg,DEPS,dashboards-render)
	$(Q)mkdir -p $(DASH_RENDER)
	$(Q)tests/setup/packages.sh render
	$(Q)cp tests/dashboards/render/package.json $(DASH_RENDER)/
	$(Q)cd $(DASH_RENDER) && npm install --silent --legacy-peer-deps --ignore-scripts --no-audit --no-fund
	$(Q)touch $@

## dashboards-render    the dashboards in Chromium by Grafana's scenes, into dashboards/screenshots/
dashboards-render: $(DASH_TOOLS) $(B)/dash-render.stamp
	$(Q)$(DASH_VENV)/bin/python tests/dashboards/render/render.py --bin $(DASH_BIN) \
		--npm $(DASH_RENDER) --work $(B)/dashboards-render --out dashboards/screenshots
