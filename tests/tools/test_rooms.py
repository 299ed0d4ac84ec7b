# SPDX-License-Identifier: MIT
"""The pages that say where things are name every file, and none that is not there."""

import functools
import glob
import os
import re

import pytest

import model_floors

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOMS = sorted(r for r in os.listdir(os.path.join(TOP, "agent")) if glob.glob(os.path.join(TOP, "agent", r, "*.c")))


def page(name):
    with open(os.path.join(TOP, "docs", name)) as f:
        return f.read()


def section(room):
    """What is said of a room: a section that has it in its heading, or the page of its own."""
    if room == "model":
        return " ".join(floors_of_the_page())
    return "".join(s for s in re.split(r"^## ", page("architecture.md"), flags=re.M)
                   if room in re.split(r"\W+", s.partition("\n")[0]))


def floors_of_the_page():
    """name: floor, from the lines with a number, names, and behind four spaces what they do."""
    lines = re.findall(r"^ {4,5}(\d+)  ([a-z_ ]*?) {4}", page("model.md"), flags=re.M)
    return {name: int(floor) for floor, names in lines for name in names.split()}


def test_every_target_is_in_the_readme():
    makefiles = [os.path.join(TOP, "Makefile"), *glob.glob(os.path.join(TOP, "mk", "*.mk"))]
    targets = {m for path in makefiles for m in re.findall(r"^## ([a-z][\w.-]*) ", open(path).read(), flags=re.M)}
    with open(os.path.join(TOP, "README.md")) as f:
        said = set(re.findall(r"`([\w.-]+)`", f.read().partition("## Make targets")[2].partition("\n## ")[0]))
    assert said == targets, (f"not in the README: {sorted(targets - said)}", f"no target: {sorted(said - targets)}")


def names_in(text):
    return set(re.findall(r"[a-z_0-9]+", text))


@pytest.mark.parametrize("room", ROOMS)
def test_every_file_is_named(room):
    files = {os.path.basename(f)[:-2] for f in glob.glob(os.path.join(TOP, "agent", room, "*.c"))}
    # The sentences are one row of the table, by the beginning of their names.
    left_out = {f for f in files - names_in(section(room)) if not f.startswith("sentence_")}
    assert not left_out, f"docs/ say nothing of agent/{room}: {sorted(left_out)}"


@pytest.mark.parametrize("name", ["architecture.md", "HACKING.md", "model.md"])
def test_every_path_is_there(name):
    said = re.findall(r"`((?:agent|bpf|include|tests|docs|mk|dashboards)/[\w./*-]*\w)`", page(name))
    assert said
    missing = [p for p in said if not glob.glob(os.path.join(TOP, p)) and not glob.glob(os.path.join(TOP, p) + "*")]
    assert not missing, f"docs/{name} names what is not there: {missing}"


@functools.lru_cache
def words_of_the_tree():
    """Every word of the sources, and the parts of every path."""
    words = set()
    for at, folders, names in os.walk(TOP):
        folders[:] = [f for f in folders if at != TOP or f in ("agent", "bpf", "include", "tests", "mk", "dashboards")]
        for name in names:
            words |= set(re.split(r"\W+", name))
            if name.endswith((".c", ".h", ".py", ".sh", ".mk", ".rs", ".toml")):
                with open(os.path.join(at, name), encoding="utf-8") as f:
                    words |= set(re.findall(r"\w+", f.read()))
    return words


@pytest.mark.parametrize("name", ["architecture.md", "HACKING.md", "model.md", "glossary.md"])
def test_every_word_of_code_is_there(name):
    """What looks like a name of C or Python is one; a capital word at its end stands for any."""
    said = set(re.findall(r"`(?:\w+ )?([a-z]+_\w+|DP_\w+|\w+(?=\(\)))(?:\(\))?`", page(name)))
    missing = {s for s in said - words_of_the_tree() if s[:3] == "DP_" or not re.search(r"_[A-Z]+$", s)}
    assert not missing, f"docs/{name} names what is not there: {sorted(missing)}"


def test_every_name_of_a_table_is_there():
    """Each row of a room's table begins with files of that room."""
    there = {os.path.basename(f)[:-2] for f in glob.glob(os.path.join(TOP, "agent", "*", "*.[ch]"))} | {"sentence_"}
    rows = re.findall(r"^\| (`[^|]*`) \|", page("architecture.md"), flags=re.M)
    said = {name for row in rows for name in re.findall(r"`([a-z_0-9]+)…?`", row)}
    assert len(said) > 100 and not said - there, f"docs/architecture.md names what is not there: {sorted(said - there)}"


def test_floors_of_the_model():
    if not glob.glob(os.path.join(TOP, "build", "obj", "agent", "model", "*.o")):
        pytest.skip("nothing is built: make")
    assert floors_of_the_page() == model_floors.floors(model_floors.arrows())
