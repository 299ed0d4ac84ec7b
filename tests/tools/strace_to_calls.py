#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the files of a traced `dora run` into the calls of the nodes' daemon connections, one a line:
connection, to|from|close, tid, bytes in hex. Everything else is dropped; connections and tids are
renumbered.

    strace -ff -o DIR/tr -ttt -T -xx -s 300000 \\
        -e trace=connect,sendto,recvfrom,write,read,close,clone,clone3,fork,vfork \\
        dora run dataflow.yml
    strace_to_calls.py DIR > calls.txt
"""
import os
import re
import sys

LINE = re.compile(r"^(\d+\.\d+) (\w+)\((.*)\) += (-?\d+)(?: .*?)?(?:<(\d+\.\d+)>)?$")
WAY = {"sendto": "to", "write": "to", "recvfrom": "from", "read": "from"}


def read_calls(directory):
    """All calls as (end time, tid, name, arguments, result), in the order in which they ended."""
    calls = []
    for name in os.listdir(directory):
        if not name.startswith("tr."):
            continue
        with open(os.path.join(directory, name), errors="replace") as f:
            for line in f:
                m = LINE.match(line.rstrip())
                if m:
                    end = float(m[1]) + float(m[5] or 0)
                    calls.append((end, int(name[3:]), m[2], m[3], int(m[4])))
    return sorted(calls, key=lambda c: c[0])


def is_node(sent):
    """Does a connection begin with Register (bincode, or postcard)?"""
    return sent[8:20] == bytes(4) + (16).to_bytes(8, "little") or sent[8:10] == b"\0\x10"


def main(directory):
    calls = read_calls(directory)
    parent = {r: tid for _, tid, name, args, r in calls
              if name in ("clone", "clone3") and "CLONE_THREAD" in args and r > 0}
    fds, sent, lines = {}, {}, []
    for _, tid, name, args, result in calls:
        process = tid
        while process in parent:
            process = parent[process]
        fd = re.match(r"(\d+)", args)
        key = (process, fd and int(fd[1]))
        if name == "connect" and ("AF_INET" in args or "AF_UNIX" in args):
            fds[key] = len(sent)
            sent[fds[key]] = b""
        elif name == "close" and key in fds:
            lines.append((fds.pop(key), "close", tid, b""))
        elif name in WAY and key in fds and result > 0:
            data = bytes(int(x, 16) for x in re.findall(r"\\x([0-9a-f]{2})", args.split('"')[1]))
            if len(data) != result:
                sys.exit(f"cut by strace: {name}: {len(data)} of {result}")
            lines.append((fds[key], WAY[name], tid, data))
            if WAY[name] == "to":
                sent[fds[key]] += data
    conns, tids = {}, {}
    for conn, way, tid, data in lines:
        if is_node(sent[conn]):
            print(conns.setdefault(conn, len(conns) + 1), way,
                  tids.setdefault(tid, len(tids) + 100), data.hex() or "-")


main(sys.argv[1])
