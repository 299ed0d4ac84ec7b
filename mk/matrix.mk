# SPDX-License-Identifier: MIT
# Every Python that can be had, in every way that a process comes to run one.
.PHONY: test-matrix matrix-slice matrix-page

## test-matrix  CPython 3.8 to 3.15 of Debian 11, 12, 13 and sid and others, in every way of running one (root; parts in
##            build/matrix, some minutes the first time); MATRIX_ARGS="--only NAME" for some; matrix-page writes the table of docs/compatibility.md
test-matrix: all
	$(Q)tests/setup/packages.sh test
	$(Q)tests/pytest.sh tests/matrix -n 2 --all $(MATRIX_ARGS)

# What `make test` runs of it.
matrix-slice: all
	$(Q)tests/pytest.sh tests/matrix -n 2

matrix-page:
	$(Q)tests/matrix/page.py
