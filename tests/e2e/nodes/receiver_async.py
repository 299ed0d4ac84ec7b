# SPDX-License-Identifier: MIT
"""dora's recv_async, which deadlocks on its first event with dora 0.3.12 to 0.5.0."""

import asyncio
import os
import signal
import threading

from truth import now, phase, say

signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))

with phase("import"):
    import pyarrow  # noqa: F401
    from dora import Node

say("start")
with phase("create"):
    node = Node()
say("ready", tid=threading.get_native_id())


async def main():
    received = 0
    while True:
        event = await node.recv_async()
        if event["type"] == "STOP":
            say("stop_seen")
            return
        received += 1
        say("received", n=received, t1=now())


asyncio.run(main())
say("bye")
