# SPDX-License-Identifier: MIT
"""A node that fails at one of its first lines."""

from truth import say

say("start")
import there_is_no_such_module  # noqa: E402, F401
