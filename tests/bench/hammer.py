#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Burdens an HTTP server on loopback: hammer.py PORT SECONDS scrapers|half-open [NUMBER]

scrapers: so many clients that each ask for /metrics again as soon as they are answered.
half-open: so many connections that are opened, from a hundred addresses, and say nothing.
Prints how many answers came, or how many connections were opened.
"""

import resource
import selectors
import socket
import sys
import time

REQUEST = (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n"
           b"Connection: close\r\n\r\n")


def scrapers(port, end, number):
    ready, answered = selectors.DefaultSelector(), 0

    def ask():
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(REQUEST)
        s.setblocking(False)
        ready.register(s, selectors.EVENT_READ)
    for _ in range(number):
        ask()
    while time.monotonic() < end:
        for key, _ in ready.select(0.1):
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            answered += data.startswith(b"HTTP/1.1 200")
            if not data:
                ready.unregister(key.fileobj)
                key.fileobj.close()
                ask()
    return answered


def half_open(port, end, number):
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * number, 2 * number))
    held = []
    while time.monotonic() < end:
        if len(held) == number:
            time.sleep(0.01)
            continue
        s = socket.socket()
        s.setblocking(False)
        s.bind((f"127.0.0.{1 + len(held) % 100}", 0))
        try:
            s.connect(("127.0.0.1", port))
        except OSError:
            pass  # under way, or turned away: it counts all the same
        held.append(s)
    return len(held)


def main():
    port, seconds, mode = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    run, number = {"scrapers": (scrapers, 200), "half-open": (half_open, 10_000)}[mode]
    print(run(port, time.monotonic() + seconds,
              int(sys.argv[4]) if len(sys.argv) > 4 else number), flush=True)


if __name__ == "__main__":
    main()
