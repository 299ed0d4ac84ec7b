# SPDX-License-Identifier: MIT
"""Sends messages of E2E_SIZE bytes, one per tick, and writes down when.

E2E_OPTS (JSON): size, burst (messages per tick), only (stop sending after that many; ends: and leave), log ("each"
message, or a "count" at the end, for high rates), pause (seconds without a message after every
"group" of them), flat (send without waiting for ticks, for so many
seconds, and "pace": say the count that often), cleanup (seconds of sleep after Stop),
linger (stay for so many seconds after Stop without dropping the node).
"""

import json
import os
import signal
import time

from truth import now, phase, say, went

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))
signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))  # never outlives the test

with phase("import"):
    import pyarrow as pa
    from dora import Node

say("start", dora_version=os.environ.get("E2E_DORA"))
with phase("create"):
    node = Node()
    size = OPTS.get("size", 65536)
    payload = pa.Array.from_buffers(pa.uint8(), size, [None, pa.py_buffer(bytes(size))])
say("ready")

sent = 0
log_each = OPTS.get("log", "each") == "each"
only = OPTS.get("only", 0)
resume = 0


def send():
    global sent
    t0 = now()
    node.send_output("data", payload)
    sent += 1
    if log_each:
        say("sent", n=sent, t0=t0, t1=now())


flat_until = 0
while True:
    event = node.next()
    if event is None:
        break
    if event["type"] == "INPUT":
        if OPTS.get("wait_go") and went() is None:
            continue
        if time.monotonic() < resume:
            continue
        for _ in range(OPTS.get("burst", 1)):
            if not only or sent < only:
                send()
        if OPTS.get("ends") and sent >= only:
            break
        if OPTS.get("pause") and sent % OPTS["group"] == 0:
            resume = time.monotonic() + OPTS["pause"]
        if OPTS.get("flat") and went() is not None:
            # Flat out for so long, then back to waiting: a Stop in between is seen afterwards.
            say("flat_begin", sent=sent)
            until = time.monotonic() + OPTS["flat"]
            pace = OPTS.get("pace", 1e9)
            tell = time.monotonic() + pace
            while time.monotonic() < until:
                send()
                if time.monotonic() > tell:
                    say("pace", sent=sent)
                    tell += pace
            say("flat_end", sent=sent)
            OPTS["flat"] = 0
            only = sent
    elif event["type"] == "STOP":
        say("stop_seen", id=event.get("id"))
        break

say("sent_total", sent=sent)
time.sleep(OPTS.get("cleanup", 0))
event = None
with phase("drop"):
    del node
say("bye")
