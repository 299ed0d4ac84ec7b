# SPDX-License-Identifier: MIT
# What only shows in the long run.
.PHONY: soak

## soak       processes and dataflows that come and go, kills of either side: nothing grows, nothing stays (root);
##            SOAK_SECONDS=600 SOAK_CYCLES=10000 SOAK_KILLS=1000
soak: setup-test all
	$(Q)tests/soak/test_soak.py
