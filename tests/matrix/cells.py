# SPDX-License-Identifier: MIT
"""What is tried: the Pythons, and the ways in which a process comes to run one."""

import fcntl
import glob
import os
import subprocess

from run import BUILD, HERE, NotTried, Refused, hold_and_look

ROOTS = {  # suite: its Pythons, and the packages
    "bullseye": ("Debian 11", ["3.9"], "python3.9 python3.9-dbg"),
    "bookworm": ("Debian 12", ["3.11"], "python3.11 python3.11-dbg python3.11-venv libpython3.11-dev gcc libc6-dev zlib1g-dev "
                                        "libexpat1-dev binutils"),
    "trixie": ("Debian 13", ["3.13"], "python3.13 python3.13-dbg"),
    "sid": ("Debian sid", ["3.13", "3.14", "3.15"], "python3.13 python3.14 python3.15 python3.14-dbg"),
}
BUILT = {  # name: suite, version, how it is configured, what it is
    "3.13t": ("trixie", "3.13", ["--disable-gil"], "3.13t, free-threaded (Debian 13's source)"),
    "3.14t": ("sid", "3.14", ["--disable-gil"], "3.14t, free-threaded (Debian sid's source)"),
    "3.15tail": ("sid", "3.15", ["--with-tail-call-interp"], "3.15 with tail calls (Debian sid's source)"),
}
WITHOUT_BTF = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
_made = {}


class Cell:
    def __init__(self, python, way, run, quick=False, level="full"):
        self.python, self.way, self.run, self.quick, self.level = python, way, run, quick, level
        self.name = f"{python}: {way}" + ("" if level == "full" else f" [{level}]")


def once(key, make):
    """Makes a part, which several cells want, and is there already or made by one of the processes that run cells; a
    part that cannot be had is NotTried for each."""
    if key not in _made:
        os.makedirs(BUILD, exist_ok=True)
        with open(os.path.join(BUILD, key + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                _made[key] = make()
            except subprocess.CalledProcessError as e:
                said = (e.stderr or e.stdout or "").strip().splitlines()
                _made[key] = NotTried(said[-1] if said else f"{e.cmd[0]} ended with {e.returncode}")
    if isinstance(_made[key], NotTried):
        raise _made[key]
    return _made[key]


def call(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def root_of(suite):
    path = os.path.join(BUILD, suite)
    once(suite, lambda: call(os.path.join(HERE, "debian.sh"), suite, path, *ROOTS[suite][2].split()))
    return path


def built(name):
    suite, version, options, _ = BUILT[name]
    path = os.path.join(BUILD, name)
    try:
        once(name, lambda: call(os.path.join(HERE, "build_python.sh"), suite, version, path, *options))
    except NotTried as e:
        missing = "404" in str(e) or "fetch" in str(e)
        raise NotTried("Debian's mirror did not have its source" if missing else f"could not be built: {e}") from e
    return path + ".root"


def in_root(root, *command, **more):
    return hold_and_look(["chroot", root, *command], root=root, **more)


def venv(name, *packages, python="python3"):
    """A virtual environment of this machine's Python with packages of PyPI."""
    path = os.path.join(BUILD, "venv-" + name)

    def make():
        if not os.path.exists(path + "/.complete"):
            call(python, "-m", "venv", "--clear", path)
            if packages:
                call(path + "/bin/pip", "install", "-q", "--disable-pip-version-check", *packages)
            open(path + "/.complete", "w").close()
        return path

    return once("venv-" + name, make)


def pyenv(minor):
    found = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/3.{minor}.*/bin/python3.{minor}")))
    if not found:
        raise NotTried("not on this machine, and no registry has it")
    return found[-1]


def host_of(kind, root="bookworm"):
    """host.c, which runs a script by the C API, linked in that way within Debian 12."""
    path = root_of(root)
    links = "-static -Wl,--whole-archive -l:libpython3.11.a -Wl,--no-whole-archive -lexpat -lz -lm" if "static" in kind \
        else "-lpython3.11"
    out = "/built/host-" + kind.replace(", ", "-")

    def make():
        source = os.path.join(HERE, "host.c")
        if os.path.exists(path + out) and os.path.getmtime(path + out) > os.path.getmtime(source):
            return out
        call("install", "-D", source, path + "/built/host.c")
        call("chroot", path, "gcc", "-O1", "-w", "-I/usr/include/python3.11", "-o", out, "/built/host.c", *links.split())
        if "stripped" in kind:
            call("chroot", path, "strip", "-s", out)
        return out

    return once("host-" + kind, make)


def uwsgi():
    path = venv("uwsgi", "uwsgi")
    # An application that holds while it is loaded; uwsgi then ends, since there is none.
    script = "import sys; sys.argv = ['target.py', 'script', '{go}']; " \
             "exec(compile(open('{target}').read(), '{target}', 'exec'), dict(__name__='__main__'))"
    return hold_and_look([path + "/bin/uwsgi", "--http-socket", "127.0.0.1:0", "--enable-threads", "--need-app", "--eval",
                          script], shape=None)


def no_gil(root, *args, **more):
    """Without its GIL nothing can be held, and that is what must be said."""
    try:
        said = in_root(root, "/python/bin/python3", **more)
    except Refused as e:
        if "without a GIL" not in str(e):
            raise AssertionError(f"refused with: {e}") from e
        raise
    raise AssertionError(f"taken for one with a GIL: {said}")


def uv_python():
    path = venv("uv", "uv")
    where = os.path.join(BUILD, "uv-pythons")
    env = dict(os.environ, UV_PYTHON_INSTALL_DIR=where)
    try:
        once("uv-python", lambda: call(path + "/bin/uv", "python", "install", "-q", "3.12", env=env, timeout=300))
    except NotTried as e:
        raise NotTried("`uv python install` cannot fetch it here: no package registry has these builds") from e
    return hold_and_look([glob.glob(where + "/*/bin/python3.12")[0]])


def debian_cells():
    for suite, (title, versions, _) in ROOTS.items():
        for v in versions:
            yield Cell(f"{title}'s {v}", "script, chroot", lambda s=suite, v=v: in_root(root_of(s), "python" + v),
                       quick=v == "3.15" or suite == "bookworm")
    for suite, v in (("bullseye", "3.9"), ("bookworm", "3.11"), ("trixie", "3.13"), ("sid", "3.14")):
        yield Cell(f"{ROOTS[suite][0]}'s {v} debug build", "script, chroot",
                   lambda s=suite, v=v: in_root(root_of(s), f"python{v}d"))
    for minor in range(8, 14):
        yield Cell(f"pyenv's 3.{minor}", "script", lambda m=minor: hold_and_look([pyenv(m)]), quick=minor == 8)


def built_cells():
    for name, (_, _, _, title) in BUILT.items():
        if not name.endswith("t"):
            yield Cell(title, "script, chroot", lambda n=name: in_root(built(n), "/python/bin/python3"))
            continue
        yield Cell(title, "script, chroot", lambda n=name: no_gil(built(n)))
        yield Cell(title, "PYTHON_GIL=1", lambda n=name: in_root(built(n), "env", "PYTHON_GIL=1", "/python/bin/python3"))


def way_cells():
    for shape in ("thread", "fork", "spawn", "forkserver", "exec"):
        yield Cell("Debian 12's 3.11", shape, lambda s=shape: in_root(root_of("bookworm"), "python3.11", shape=s),
                   quick=shape == "spawn")
        yield Cell("Debian sid's 3.14", shape, lambda s=shape: in_root(root_of("sid"), "python3.14", shape=s))
    for suite, v in (("trixie", "3.13"), ("sid", "3.14"), ("sid", "3.15")):
        yield Cell(f"{ROOTS[suite][0]}'s {v}", "subinterpreter with its own GIL",
                   lambda s=suite, v=v: in_root(root_of(s), "python" + v, shape="subinterpreter", gil=1), quick=v == "3.15")
    yield Cell("pyenv's 3.12", "subinterpreter with its own GIL",
               lambda: hold_and_look([pyenv(12)], shape="subinterpreter", gil=1))
    yield Cell("this machine's", "virtual environment", lambda: hold_and_look([venv("plain") + "/bin/python3"]))
    yield Cell("this machine's", "gevent (PyPI)", lambda: hold_and_look([venv("gevent", "gevent") + "/bin/python3"],
                                                                        shape="greenlet"))
    yield Cell("this machine's", "uwsgi (PyPI)", uwsgi)
    for kind in ("shared", "static", "static, stripped"):
        # Without a name for pthread_cond_signal nothing can prove a hold that nobody waits for.
        yield Cell("Debian 12's 3.11", f"embedded in a C host, {kind}",
                   lambda k=kind: in_root(root_of("bookworm"), host_of(k), proven="stripped" not in k), quick=kind == "static")
    for python, run in (("Debian 12's 3.11", lambda w: in_root(root_of("bookworm"), "python3.11", wrap=w, proven=False)),
                        ("Debian sid's 3.15", lambda w: in_root(root_of("sid"), "python3.15", wrap=w, proven=False))):
        yield Cell(python, "bpf(2) refused by seccomp", lambda r=run: r([os.path.join(HERE, "without_bpf.py")]),
                   level="sampling", quick=python.endswith("3.11"))
        yield Cell(python, "no BTF", lambda r=run: r(WITHOUT_BTF), level="sampling")
    yield Cell("uv's 3.12 (python-build-standalone)", "script", uv_python)

    def conda():
        raise NotTried("micromamba and conda's packages are in none of the registries")

    yield Cell("conda's", "script", conda)
