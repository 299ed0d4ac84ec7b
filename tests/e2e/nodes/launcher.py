# SPDX-License-Identifier: MIT
"""Starts the receiver as its child, as a launcher script does, and leaves with its code."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.exit(subprocess.call([sys.executable, os.path.join(HERE, "receiver.py")]))
