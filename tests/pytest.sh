#!/bin/sh
# SPDX-License-Identifier: MIT
# pytest of the distribution (tests/setup/packages.sh test), whatever other Python is first in the path:
#   pytest.sh [OPTION...] FILE...
# Options besides pytest's own: tests/conftest.py. Ends with `N passed, N failed[, N skipped]`.
top=$(cd "$(dirname "$0")/.." && pwd)
if ! /usr/bin/python3 -c 'import pytest, xdist' 2>/dev/null; then
	echo "no pytest for /usr/bin/python3: run tests/setup/packages.sh test first" >&2
	exit 2
fi
exec /usr/bin/python3 -m pytest -c "$top/pytest.ini" --rootdir "$top" "$@"
