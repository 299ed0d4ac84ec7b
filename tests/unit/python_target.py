# SPDX-License-Identifier: MIT
"""A Python process with a known GIL state and known stacks: python_target.py SCENARIO.

Says on standard output what an observer must see, one fact a line, then "ready". A comment
"LINE:name" marks a line whose number the test looks up in this file.
"""
import ctypes
import os
import signal
import sys
import threading
import time

FOREVER = 600
stacks_said = threading.Semaphore(0)


def say(*words):
    os.write(1, ("\t".join(printable(w) for w in words) + "\n").encode())


def printable(word):
    return "".join(c if c.isprintable() else "?" for c in str(word))


def say_stack(frame):
    """The truth: what CPython itself says about this stack, innermost first."""
    tid = threading.get_native_id()
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        say("frame", tid, frame.f_lineno, name, code.co_filename)
        frame = frame.f_back
    say("thread", tid)
    stacks_said.release()


def hold_native(rounds=(1, 2, 3)):
    while len(rounds) < 3:
        time.sleep(0.001)
    say("holder", threading.get_native_id())
    ctypes.PyDLL(None).usleep(FOREVER * 1000000)  # LINE:hold_native


def native():
    """A thread takes the GIL for a blocking call once the main thread is in its loop."""
    import _ctypes
    say("ctypes", getattr(_ctypes, "__file__", "builtin"))
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    rounds = []
    threading.Thread(target=hold_native, args=(rounds,), daemon=True).start()
    while True: rounds.append(1); time.sleep(0.001)  # LINE:main_wait


def native_main():
    say("holder", threading.get_native_id())
    ctypes.PyDLL(None).usleep(FOREVER * 1000000)  # LINE:native_main


class Spinner:
    def spin(self):
        say("holder", threading.get_native_id())
        while True: pass  # LINE:spin


def spin():
    Spinner().spin()


def free():
    say("main", threading.get_native_id())
    time.sleep(FOREVER)  # LINE:free


def block():
    say_stack(sys._getframe()); time.sleep(FOREVER)


def recursion(depth=20):
    if depth:
        return recursion(depth - 1)
    return block()


def generator():
    def numbers():
        yield 1
        block()
        yield 2

    for _ in numbers():
        pass


def comprehension():
    return [[block() for _ in range(1)]
            for _ in range(2)]


def lambdas():
    return (lambda: (lambda x:
                     block())(1))()


def executed():
    exec(compile("\n\nblock()\n", "<made up>", "exec"), {"block": block})


class Größe:
    def méthode(self):
        return self.静的(
            1,
            2,
        )

    @staticmethod
    def 静的(a, b):
        𝒻 = block
        return (a
                + 𝒻()
                + b)

    @classmethod
    def of_class(cls):
        with open(os.devnull):
            try:
                raise ValueError
            except ValueError:
                cls().méthode()


def coroutine():
    import asyncio

    async def inner():
        block()

    async def outer():
        await inner()

    asyncio.run(outer())


def sorted_key():
    return sorted([2], key=lambda x: block())


def long_names():
    path = "/" + "/".join("directory%03d" % i for i in range(60)) + "/the_end.py"
    name = "f" + "x" * 200 + "_the_end"
    scope = {"block": block}
    exec(compile("def %s():\n    block()\n" % name, path, "exec"), scope)
    scope[name]()


def many_lines():
    """Line numbers far beyond what one byte of a line table can step over."""
    body = "def far():\n" + "    x = 1\n" * 3000 + "\n" * 5000 + "    block()\n"
    scope = {"block": block}
    exec(compile(body, "<far>", "exec"), scope)
    scope["far"]()


def hostile_name():
    scope = {"block": block}
    exec(compile("block()", "a\x1b[31m\n\u202eb\udc80\x85c\t", "exec"), scope)


def stacks():
    shapes = (recursion, generator, comprehension, lambdas, executed, Größe.of_class,
              coroutine, sorted_key, long_names, many_lines, hostile_name)
    for shape in shapes:
        threading.Thread(target=shape, daemon=True).start()
    for _ in shapes:
        stacks_said.acquire()
    block_main()


def block_main():
    say("ready")
    time.sleep(FOREVER)


def hog_leaf(n):
    return n + 1


def hog():
    say("hog", threading.get_native_id())
    n = 0
    while True:
        n = hog_leaf(n)


def hogs():
    for _ in range(2):
        threading.Thread(target=hog, daemon=True).start()
    say("ready")
    time.sleep(FOREVER)


def subinterpreters():
    try:
        import _interpreters
        _interpreters.create()
    except ImportError:
        import _xxsubinterpreters
        kept = _xxsubinterpreters.create(isolated=True)  # ends with its last reference
    say("ready")
    time.sleep(FOREVER)


def short_lived():
    """Threads that come and go while the list of thread states is read."""
    say("ready")
    while True:
        threads = [threading.Thread(target=hog_leaf, args=(1,)) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


globals()[sys.argv[1]]()
