#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzzers from the golden files: seeds.py GOLDEN_DIR OUT_DIR"""
import os
import sys

golden, out = sys.argv[1:]
for name in ("wire", "nodeconfig"):
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
