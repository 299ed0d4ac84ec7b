#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzzers from the golden files: seeds.py GOLDEN_DIR OUT_DIR RECORDINGS_DIR"""
import lzma
import os
import random
import struct
import sys

golden, out, recordings = sys.argv[1:]
for name in ("wire", "nodeconfig", "recording", "elf", "linetable", "command", "captures", "proc",
             "frames", "sockdiag"):
    os.makedirs(os.path.join(out, name), exist_ok=True)
count = 0
for name in sorted(os.listdir(golden)):
    path = os.path.join(golden, name)
    if name.endswith(".yml"):
        with open(path, "rb") as f, open(os.path.join(out, "nodeconfig", name), "wb") as o:
            o.write(f.read())
        continue
    # fuzz_wire.c: first byte the versions, then operation 3 (raw bytes up to the end) or frames.
    dora = 2 if ("postcard" in name or "1.1.0" in name) else 1
    streams = {}
    with open(path) as f:
        for line in f:
            if name.startswith("calls-"):
                conn, way, _, data = line.split()
                if way != "close":
                    streams.setdefault((conn, way), []).append(bytes.fromhex(data))
            else:
                label, data = line.rsplit(":", 1)
                body = bytes.fromhex(data.strip())
                way = "from" if "Reply" in label or "NextEvents[" in label else "to"
                streams[label] = [len(body).to_bytes(8, "little"), body, way]
    for key, calls in streams.items():
        way = calls.pop() if isinstance(key, str) else key[1]
        op = 3 << 2 | (way == "from")
        with open(os.path.join(out, "wire", f"{count:04}"), "wb") as o:
            o.write(bytes([dora | dora << 3, op]) + b"".join(calls)[:8192])
        count += 1


def seed(kind, name, data):
    with open(os.path.join(out, kind, name), "wb") as o:
        o.write(data[:16384])


# The first records of each golden recording, behind the byte that chooses what is made of them.
for i, name in enumerate(sorted(os.listdir(recordings))):
    path = os.path.join(recordings, name, "recording.rec.xz")
    if os.path.exists(path):
        with lzma.open(path) as f:
            seed("recording", name, bytes([0x20 | i % 4]) + f.read(16384)[16:])
for path in ("/bin/true", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"):
    if os.path.exists(path):
        with open(path, "rb") as f:
            seed("elf", os.path.basename(path), f.read())
for code in (seed.__code__, os.walk.__code__, os.makedirs.__code__):
    table = getattr(code, "co_linetable", None) or code.co_lnotab
    for form in range(3):
        seed("linetable", f"{code.co_name}{form}",
             bytes([form, 40]) + code.co_firstlineno.to_bytes(4, "little") + (8).to_bytes(4, "little") + table)
for i, line in enumerate((
        "dora stop 018f0000-0000-7000-8000-000000000000 --grace-duration 3s",
        "dora stop --name flow --force", "dora node stop --grace 5s camera", "/usr/bin/python3 /usr/bin/dora down")):
    seed("command", f"stop{i}", b"\0" + line.encode().replace(b" ", b"\0") + b"\0")
for i, line in enumerate((
        "--pid 1,2 --json --hold-threshold 5ms --listen 127.0.0.1:9469", "replay file --grace 3s",
        "report file -o out.html", "--all --shutdown nudge --nudge-signal USR1 --exact=3s", "--help", "list")):
    seed("command", f"options{i}", b"\1" + line.encode().replace(b" ", b"\0"))
for kind in range(1, 24):
    body = kind.to_bytes(2, "little") + bytes(30) + bytes(64)
    seed("captures", str(kind), len(body).to_bytes(2, "little") + body)
with open("/proc/self/stat", "rb") as f, open("/proc/self/status", "rb") as g:
    seed("proc", "self", b"\xff".join((
        b"7f0000000000-7f0000001000 r-xp 00000000 08:01 42 /lib/python3/site-packages/dora/dora.abi3.so\n"
        b"7f1000000000-7f1000001000 rw-s 00000000 00:15 43 /dev/shm/shmem_0123\n",
        b"Metadata-Version: 2.3\nName: dora-rs\nVersion: 0.5.0\n",
        b"  sl  local_address rem_address   st\n   0: 0100007F:0009 0100007F:C000 01 00000000:00000000 "
        b"00:00000000 00000000 0 0 44 1\n", f.read(), g.read())))
rng = random.Random(1)
for version in range(5):
    for chain in range(2):
        seed("frames", f"{version}{chain}", bytes([version, chain]) + rng.randbytes(4096))


def message(kind, body):
    return struct.pack("<IHHII", 16 + len(body), kind, 0, 1, 0) + body


def attribute(kind, body):
    return struct.pack("<HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


# NLMSG_DONE is 3, an answer 20; struct unix_diag_msg and inet_diag_msg.
one = struct.pack("<BBBBIII", 1, 1, 1, 0, 4711, 0, 0)
seed("sockdiag", "unix", b"\0\1" + message(20, one + attribute(0, b"/tmp/dora.sock") + attribute(2, struct.pack("<I", 4712)))
     + message(20, one + attribute(0, b"/tmp/dora.sock") + attribute(3, struct.pack("<3I", 1, 2, 3))) + message(3, bytes(4)))
one = struct.pack("<BBBB", 2, 1, 0, 0) + struct.pack(">HH", 40000, 9) + bytes([127, 0, 0, 1] + 12 * [0]) * 2 + bytes(12)
seed("sockdiag", "inet", b"\1\x09" + message(20, one + struct.pack("<5I", 0, 0, 0, 0, 4711)) + message(3, bytes(4)))
