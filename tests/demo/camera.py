# SPDX-License-Identifier: MIT
"""A camera: an image of 1 MB on every tick."""

import pyarrow as pa
from dora import Node

node = Node()
size = 1_000_000
image = pa.Array.from_buffers(pa.uint8(), size, [None, pa.py_buffer(bytes(size))])
print("camera ready", flush=True)

while True:
    event = node.next()
    if event is None or event["type"] == "STOP":
        break
    if event["type"] == "INPUT":
        node.send_output("image", image)
event = None
del node
