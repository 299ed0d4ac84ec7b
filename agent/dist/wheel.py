#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the binary into a wheel, so that `pip install` brings it: wheel.py BINARY ARCH VERSION OUT.

ARCH is x86_64 or aarch64. The binary must run on glibc 2.31 and later (wheel.sh builds it so); a symbol of a newer
glibc is refused. The same binary gives the same bytes: every time in the archive is SOURCE_DATE_EPOCH.
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
import time
import zipfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GLIBC = (2, 31)

METADATA = """Metadata-Version: 2.1
Name: dora-probe
Version: {version}
Summary: Who holds the GIL of a dora node, and which messages wait for it
License: MIT
Platform: Linux
Requires-Python: >=3.8
Description-Content-Type: text/markdown

"""


def newest_glibc(binary):
    text = subprocess.run(["readelf", "--wide", "--version-info", binary], check=True, capture_output=True,
                          text=True).stdout
    return max(tuple(map(int, v.split("."))) for v in re.findall(r"Name: GLIBC_([0-9.]+)", text))


def main():
    binary, arch, version, out = sys.argv[1:]
    needs = newest_glibc(binary)
    if needs > GLIBC:
        sys.exit(f"wheel.py: the binary needs glibc {'.'.join(map(str, needs))}; a wheel promises 2.31")
    tag = f"py3-none-manylinux_{GLIBC[0]}_{GLIBC[1]}_{arch}"
    info, data = f"dora_probe-{version}.dist-info", f"dora_probe-{version}.data"
    when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")))[:6]

    def read(*path):
        with open(os.path.join(TOP, *path), "rb") as f:
            return f.read()

    with open(binary, "rb") as f:
        program = f.read()
    files = [
        (f"{data}/scripts/dora-probe", program, 0o755),
        (f"{data}/data/share/man/man8/dora-probe.8", read("agent", "dist", "dora-probe.8"), 0o644),
        (f"{data}/data/share/bash-completion/completions/dora-probe", read("agent", "dist", "dora-probe.bash"), 0o644),
        (f"{info}/METADATA", METADATA.format(version=version).encode() + read("README.md"), 0o644),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: dora-probe\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644),
        (f"{info}/LICENSE", read("LICENSE"), 0o644),
    ]
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b'=').decode()},{len(body)}\n"
        for name, body, _ in files) + f"{info}/RECORD,,\n"
    files.append((f"{info}/RECORD", record.encode(), 0o644))
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, f"dora_probe-{version}-{tag}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, body, mode in files:
            entry = zipfile.ZipInfo(name, when)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, body)
    print(f"  WHEEL    {path} (glibc {'.'.join(map(str, needs))} and later)")


if __name__ == "__main__":
    main()
