#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command for which bpf(2) is refused, as by a container's seccomp filter: without_bpf.py COMMAND..."""

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]

# Loads the number of the system call; refuses one, lets all others pass.
program = b"".join(struct.pack("HBBI", *x) for x in (
    (0x20, 0, 0, 0), (0x15, 0, 1, BPF), (0x06, 0, 0, EPERM), (0x06, 0, 0, ALLOW)))
kept = ctypes.create_string_buffer(program)


class Fprog(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
        libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(Fprog(4, ctypes.addressof(kept)))):
    sys.exit(f"no seccomp filter: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
