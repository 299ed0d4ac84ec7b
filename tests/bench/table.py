# SPDX-License-Identifier: MIT
"""The table of what was compared, made of a run's results: one row for what was measured, one column a tool."""

BEGIN, END = "<!-- made by make bench -->\n", "<!-- end of what make bench made -->\n"


def cell(r):
    if not r or r["value"] is None:
        return "–"
    text = f"{r['value']:.2f}" if r["unit"].startswith("of that") else f"{r['value']:.3g} {r['unit']}"
    return f"**{text}**" if r["met"] is False else text


def lines(machine, results):
    compared = [r for r in results if r.get("measure")]
    tools = list(dict.fromkeys(r["tool"] for r in compared))
    rows = list(dict.fromkeys(r["measure"] for r in compared))
    at = {(r["measure"], r["tool"]): r for r in compared}
    days = sorted({r["when"] for r in compared})
    loads = sorted(float(r["load"]) for r in compared)
    ns = sorted({r["n"] for r in compared})
    if not rows:
        return []
    return [f"{machine}; {days[0]}{'' if days[0] == days[-1] else ' to ' + days[-1]}; medians of {ns[0]} to {ns[-1]} "
            f"interleaved rounds; load of the machine meanwhile {loads[0]:g} to {loads[-1]:g}. Of what nothing attached gives; "
            "**bold**: the target is missed.", "",
            "| | " + " | ".join(tools) + " |", "|---" * (len(tools) + 1) + "|",
            *(f"| {m} | " + " | ".join(cell(at.get((m, t))) for t in tools) + " |" for m in rows)]


def write(path, machine, results):
    with open(path) as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w") as f:
        f.write(before + BEGIN + "\n".join(lines(machine, results)) + "\n" + END + after)
