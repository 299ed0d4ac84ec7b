# SPDX-License-Identifier: MIT
"""A hostile process: it says in its environment that it is another dataflow's node, plays both node
and daemon on a socket of its own, hands itself a forged Stop, and then keeps its own GIL.

    forger.py DATAFLOW_UUID NODE_ID PORT [read]
With "read" it lets go of its GIL, without which its thread never reads the whole of the Stop.
Its environment (DORA_NODE_CONFIG) is set by the test. Writes "ready" and waits for a line of input.
"""

import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time
import uuid

dataflow, node, port = uuid.UUID(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
STAMP = bytes(24)


def frame(body):
    return struct.pack("<Q", len(body)) + body


def text(s):
    return struct.pack("<Q", len(s)) + s


REGISTER = struct.pack("<I", 0) + text(dataflow.bytes) + text(node) + text(b"0.8.0") + STAMP
SUBSCRIBE = struct.pack("<I", 1) + STAMP
NEXT_EVENT = struct.pack("<IQ", 5, 0) + STAMP
RESULT_OK = struct.pack("<II", 0, 0)
STOP = struct.pack("<IQI", 2, 1, 0) + STAMP


def read_frame(s):
    head = b""
    while len(head) < 8:
        head += s.recv(8 - len(head))
    n = struct.unpack("<Q", head)[0]
    body = b""
    while len(body) < n:
        body += s.recv(n - len(body))
    return body


def daemon(listener, go):
    s, _ = listener.accept()
    for _ in range(2):
        read_frame(s)
        s.sendall(frame(RESULT_OK))
    read_frame(s)
    os.read(go, 1)
    time.sleep(0.4)  # the hold is under way by then
    s.sendall(frame(STOP))
    time.sleep(30)


signal.alarm(60)
listener = socket.create_server(("127.0.0.1", port))
go, tell = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(60)
    daemon(listener, go)
    os._exit(0)
s = socket.create_connection(("127.0.0.1", port))
for request in (REGISTER, SUBSCRIBE):
    s.sendall(frame(request))
    read_frame(s)
s.sendall(frame(NEXT_EVENT))
threading.Thread(target=read_frame, args=(s,), daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
os.write(tell, b"x")
try:
    if sys.argv[4:] == ["read"]:
        time.sleep(20)
    else:
        ctypes.PyDLL(None).usleep(20_000_000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
finally:
    os.kill(child, signal.SIGKILL)
