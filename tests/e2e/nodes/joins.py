# SPDX-License-Identifier: MIT
"""Started by hand: joins a running dataflow by the name of E2E_JOINS, keeps its node where E2E_KEEPS says, and leaves on Stop."""

import os
import signal
import time

signal.alarm(60)

from dora import Node  # noqa: E402


def join(name):
    """The dataflow may not run yet."""
    while True:
        try:
            return Node(name)
        except RuntimeError as e:
            print(str(e)[:100], flush=True)
            time.sleep(0.3)


class Robot:
    def __init__(self, name):
        self.speed, self.node = 1.5, join(name)

    def run(self):
        return serve(self.node)


def serve(events):
    print("ready", flush=True)
    while events.next()["type"] != "STOP":
        pass


def here():
    node = join(os.environ["E2E_JOINS"])
    serve(node)


if os.environ["E2E_KEEPS"] == "attribute":
    Robot(os.environ["E2E_JOINS"]).run()
elif os.environ["E2E_KEEPS"] == "global":
    NODE = join(os.environ["E2E_JOINS"])
    serve(NODE)
else:
    here()
