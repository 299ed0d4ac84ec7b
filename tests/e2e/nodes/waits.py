# SPDX-License-Identifier: MIT
"""Native calls that wait with the GIL held (waits.c), and what the nodes know of each."""

import ctypes
import fcntl
import os
import subprocess

from truth import DIR

HERE = os.path.dirname(os.path.abspath(__file__))

# Those that end after the time asked for, and those that never end.
END = ("join_sleep", "join_compute", "mutex_sleep", "pool_work", "cond_timed", "sem_beside_gil")
NEVER = ("join_gil", "join_join_gil", "mutex_gil", "pool_gil", "static_gil", "once_gil")


def library():
    """Built beside the node's own files, once a run."""
    path = os.path.join(DIR, "libwaits.so")
    with open(os.path.join(DIR, "libwaits.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-pthread", "-o", path,
                            os.path.join(HERE, "waits.c"), "-l:libstdc++.so.6"], check=True)
    lib = ctypes.PyDLL(path)
    for name in END + NEVER:
        getattr(lib, name).argtypes = [ctypes.c_double]
        getattr(lib, name).restype = None
    return lib
