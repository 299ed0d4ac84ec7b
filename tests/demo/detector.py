# SPDX-License-Identifier: MIT
"""A detector with a bug that is common in native extensions: one call into C keeps the GIL.

The call stands for a driver that waits for its device without Py_BEGIN_ALLOW_THREADS. It is made
once, a given time after the file `go` appears, and lasts DEMO_STUCK seconds.
"""

import ctypes
import os
import time

import pyarrow  # noqa: F401
from dora import Node

driver = ctypes.PyDLL(None)  # PyDLL keeps the GIL during the call


def wait_for_device(seconds):
    driver.usleep(int(seconds * 1e6))


def detect(image):
    global stuck
    if stuck and os.path.exists(os.environ["DEMO_GO"]):
        seconds, stuck = stuck, 0
        wait_for_device(seconds)
    return len(image)


stuck = float(os.environ["DEMO_STUCK"])
node = Node()
print("detector ready", flush=True)
while True:
    event = node.next()
    if event is None or event["type"] == "STOP":
        break
    if event["type"] != "INPUT":
        continue
    try:
        detect(event["value"])
    except KeyboardInterrupt:
        # The signal ended the device's wait: back to the loop, which finds Stop in its queue.
        print(f"detector interrupted at {time.strftime('%X')}: closing the device", flush=True)
event = None
del node
