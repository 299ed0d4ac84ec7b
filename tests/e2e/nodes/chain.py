# SPDX-License-Identifier: MIT
"""A launcher: starts the next of its layers, and the node's script in the end. E2E_LAYERS says which:
  call   as subprocess.call does          pipe   as `conda run` does: reads what its child prints
  shell  /bin/sh, which stays             leave  a shell that leaves at once, the rest goes on"""

import os
import subprocess
import sys

from truth import say

layers = os.environ["E2E_LAYERS"].split(",")
script = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.environ["E2E_SCRIPT"])
say("layer", layer=layers[0])
if len(layers) > 1:
    os.environ["E2E_LAYERS"] = ",".join(layers[1:])
    script = os.path.abspath(__file__)
if layers[0] == "pipe":
    child = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    child.communicate()
    sys.exit(child.returncode)
command = [sys.executable, script]
if layers[0] == "shell":
    command = ["/bin/sh", "-c", f"'{sys.executable}' '{script}'; exit $?"]
if layers[0] == "leave":
    command = ["/bin/sh", "-c", f"setsid '{sys.executable}' '{script}' & exit 0"]
sys.exit(subprocess.call(command))
