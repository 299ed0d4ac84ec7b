# SPDX-License-Identifier: MIT
# Every Python that can be had, in every way that a process comes to run one.
.PHONY: test-matrix matrix-slice

## test-matrix  CPython 3.8 to 3.15 of Debian 11, 12, 13 and sid and others, in every way of running one (root; parts in
##            build/matrix, some minutes the first time); MATRIX_ARGS="--only NAME --write" for some, and for the page
test-matrix: all
	$(Q)tests/setup/packages.sh test
	$(Q)tests/matrix/matrix.py $(MATRIX_ARGS)

# What `make test` runs of it.
matrix-slice: all
	$(Q)tests/matrix/matrix.py --quick
