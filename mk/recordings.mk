# SPDX-License-Identifier: MIT
.PHONY: recordings

## recordings  replay the golden recordings and compare byte for byte (no privileges)
recordings: $(B)/dora-probe
	$(Q)tests/recordings/test_recordings.py
