# SPDX-License-Identifier: MIT
"""shape.py finds what it is for: each test gives it a file that breaks one rule by one line."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import shape  # noqa: E402


def function(length, signature="static int f(void)"):
    return signature + "\n{\n" + "\tx();\n" * (length - 3) + "}\n"


def file(length, head="/* A file. */\n"):
    return head + "int x;\n" * (length - head.count("\n"))


def found(text, known=()):
    return shape.faults([("agent/a.c", text)], set(known))


def test_file():
    assert found(file(500)) == []
    assert "501 lines" in found(file(501))[0]
    assert found(file(501), ["agent/a.c"]) == []


def test_reason():
    assert found(file(501, "/* Over 500 lines: one table. */\n")) == []
    assert found(file(501, "/* Over 500 lines: */\n"))
    assert found(file(501, "int x;\n" * 20 + "/* Over 500 lines: too late. */\n"))


def test_function():
    assert found(function(60)) == []
    assert "agent/a.c:1: f: 61 lines" in found(function(61))[0]
    assert found(function(61), ["agent/a.c f"]) == []
    assert found(function(61), ["agent/a.c g"])


def test_signature_counts():
    assert "agent/a.c:3: g: 61" in found("#include <x.h>\n\n" + function(60, "int g(int a,\n      int b)"))[0]
    assert "dp_exec" in found(function(61, 'SEC("tp_btf/x")\nint BPF_PROG(dp_exec, int a)'))[0]


def test_tests_have_tables():
    def faults(path, text):
        return shape.faults([(path, text)], set())

    assert faults("tests/unit/a.c", function(120)) == []
    assert "121 lines, over 120" in faults("tests/unit/a.c", function(121))[0]
    assert "501 lines" in faults("tests/e2e/a.py", "x = 1\n" * 501)[0]


def test_python():
    text = "class A:\n    def f(self):\n" + "        x = 1\n" * 120
    assert "tests/a.py:2: f: 121" in shape.faults([("tests/a.py", text)], set())[0]
    assert shape.faults([("tests/a.py", text[:-len("        x = 1\n")])], set()) == []


def test_not_needed():
    assert "take the line out" in found(function(60), ["agent/a.c f"])[0]
    assert "take the line out" in found(file(500), ["agent/a.c"])[0]
