# SPDX-License-Identifier: Apache-2.0
"""The final table of a bench: what was found, what it cost, and where attempts ended.

Plain text within 100 columns. Color only on a terminal, never alone, and not under ``NO_COLOR``.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from kernelcoder import wording
from kernelcoder.records import STAGES, TIMED_MODES
from kernelcoder.report import claims, shrinkage
from kernelcoder.report.quote import code_span

Row = Mapping[str, Any]
WIDTH = 100
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def print_cells(rows: Sequence[Row], stream: TextIO | None = None) -> None:
    """Results, spending and funnel of the cells, with the footer that says how to read them."""
    out = stream if stream is not None else sys.stdout
    if not rows:
        print("no results yet: `make bench` makes some", file=out)
        return
    names = [_flag(name, row) for name, row in zip(claims.labels(rows), rows, strict=True)]
    color = wants_color(out)
    best = _best(rows)
    for title, head, body in (
        ("results", *_results(names, rows)),
        ("spending", *_spending(names, rows)),
        ("attempts that reached each stage", *_funnel(names, rows)),
    ):
        print(_paint(title, DIM, color), file=out)
        for index, line in enumerate(grid(head, body)):
            bold = title == "results" and best is not None and index == best + 1
            print(_paint(line, BOLD, color and bold), file=out)
        print(file=out)
    if shrinkage.known(rows):
        print(_paint("winner's curse: what was left when timed again", DIM, color), file=out)
        for line in grid(*_shrunk(names, rows)):
            print(line, file=out)
        print(file=out)
    for name, row in zip(names, rows, strict=True):
        print(_wrap(f"{name}: {failures(row)}"), file=out)
    for name, row in zip(names, rows, strict=True):
        for line in quarantine(name, row):
            print(line, file=out)
    print(file=out)
    for line in footer(rows):
        print(_paint(_wrap(line), DIM, color), file=out)


def wants_color(stream: TextIO) -> bool:
    """Whether escape codes are welcome: a terminal, and no ``NO_COLOR``."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _paint(text: str, code: str, on: bool) -> str:
    return f"{code}{text}{PLAIN}" if on and text else text


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH - 2, subsequent_indent="  "))


def _flag(name: str, row: Row) -> str:
    return name if row["finished"] else f"{name} *"


def _best(rows: Sequence[Row]) -> int | None:
    """The row with the largest geometric mean over all tasks, if rows can be compared."""
    known = [(row["geomean_all"], i) for i, row in enumerate(rows) if row["geomean_all"]]
    same = len({(row["suite"], row["n_tasks"]) for row in rows}) == 1
    return max(known)[1] if len(known) > 1 and same else None


def _results(names: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    base = _common(rows, "baseline") or "baseline"
    other = claims.second_baseline(rows)
    head = ["cell", "verified %", "fast_1 %", f"all, x {base}", "verified only", f"x {other}"]
    body = []
    for name, row in zip(names, rows, strict=True):
        share = claims.interval(claims.verified_share(row), "share", percent=True)
        body.append(
            [
                name,
                f"{row['n_verified']}/{row['n_tasks']} {_tight(share)}",
                _tight(claims.interval(row, "fast_1", percent=True)),
                _tight(claims.interval(row, "geomean_all")),
                _tight(claims.interval(row, "geomean_verified")),
                claims.times(row[f"geomean_all_{other}"]),
            ]
        )
    return head, body


def _tight(text: str) -> str:
    """Intervals as ``90 [70-97]``: the unit stands in the heading."""
    return text.replace("%", "").replace(", ", "-")


def _spending(names: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    head = ["cell", "attempts", "repeats", "calls paid", "lost", "tokens", "cost", "time"]
    body = [
        [
            name,
            str(row["attempts"]),
            str(row["duplicates"]),
            f"{row['calls_paid']}/{row['calls']}",
            str(row["calls_lost"]),
            claims.tokens(row),
            claims.cost(row),
            wording.duration(row["seconds"]),
        ]
        for name, row in zip(names, rows, strict=True)
    ]
    return head, body


def _funnel(names: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    head = ["cell", "asked", "kernel", "compiled", "smoke", "verified", "measured"]
    stages = ("generated", "candidates", *STAGES[1:])
    body = [
        [name, *(str(row["funnel"][stage]) for stage in stages)]
        for name, row in zip(names, rows, strict=True)
    ]
    return head, body


def _shrunk(names: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    head = ["cell", *(shrinkage.WORDS[name] for name in shrinkage.NAMES)]
    body = zip(names, rows, strict=True)
    return head, [[name, *shrinkage.cell_texts(row)] for name, row in body]


def failures(row: Row) -> str:
    """How the attempts that did not verify ended, most frequent first."""
    bad = {status: n for status, n in row["statuses"].items() if status != "verified"}
    if not bad:
        return "no attempt failed" if row["attempts"] else "no attempt yet"
    ordered = sorted(bad.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n} {status}{_noticed(row, status)}" for status, n in ordered)


def _noticed(row: Row, status: str) -> str:
    """What the judge noticed in the attempts that cheated or were refused, by label."""
    found = row["labels"].get(status) if status in ("cheating", "refused") else None
    return f" ({', '.join(f'{name}: {n}' for name, n in found.items())})" if found else ""


def quarantine(name: str, row: Row) -> list[str]:
    """What the machine failed, with its most frequent reason; it is in no count above."""
    if not row["quarantined"]:
        return []
    lost = wording.tally(row["quarantined"], "attempt")
    head = f"{name}: {lost} quarantined (infra_error), in no other count"
    return [_wrap(head), f"  most often {code_span(row['quarantined_reasons'][0][1], 80)}"]


def damage(row: Row) -> str:
    """What became of the kernels that were damaged on purpose."""
    caught = row["corrupted"] - row["corrupted_verified"]
    said = f"{row['cell']}: {wording.tally(row['corrupted'], 'kernel')} damaged on purpose"
    return f"{said}, {caught} caught, {row['corrupted_verified']} let through."


def footer(rows: Sequence[Row]) -> list[str]:
    """How to read the numbers: denominators, exclusions, proposer, machine."""
    lines = [
        f"Speedups divide the time of {_common(rows, 'baseline') or 'the baseline'} by the "
        "kernel's, re-timed after the search; [..] is a 95% interval (Wilson, bootstrap over "
        "tasks). all: geometric mean over every task, failures at 1.0; verified only: over the "
        "verified tasks."
    ]
    common = [f"{axis} {rows[0][axis]}" for axis in claims.AXES if _common(rows, axis) is not None]
    lines.append("Same in every row: " + ", ".join(common) + "." if common else "")
    made = {(str(row["model"]), claims.proposer(row)) for row in rows if not row["language_model"]}
    for how in sorted({how for _, how in made}):
        lines.append(f"{', '.join(sorted(model for model, by in made if by == how))}: {how}.")
    for row in rows:
        if (untimed := row["n_verified"] - row["n_timed"]) and row["n_timed"]:
            lines.append(
                f"{row['cell']}: the speed over {row['baseline']} of {untimed} verified is "
                "unknown, and so are the means over all tasks."
            )
    lines += [damage(row) for row in rows if row["corrupted"]]
    if modes := sorted({str(row["mode"]) for row in rows} - {"None", *TIMED_MODES}):
        lines.append(f"Mode {', '.join(modes)}: not run natively, so it carries no timing.")
    if any(row["mode"] == "simulated" for row in rows):
        made_up = "nothing was run, and the seconds of model and device are made up"
        lines.append(f"Mode {wording.SIMULATED}; {made_up}.")
    if not all(row["finished"] for row in rows):
        lines.append(
            "*: unfinished, tasks without a result count as failures; `make bench` resumes."
        )
    machines = sorted({str(row["machine"]) for row in rows})
    lines.append(f"Machine: {', '.join(machines)}.")
    return [line for line in lines if line]


def _common(rows: Sequence[Row], field: str) -> Any:
    found = {row[field] for row in rows}
    return found.pop() if len(found) == 1 else None


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Aligned lines: the first column to the left, numbers to the right, two blanks between.
    A first column that would push the line past ``WIDTH`` is cut in the middle."""
    table = [list(head), *(list(line) for line in body)]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    room = WIDTH - sum(widths[1:]) - 2 * (len(head) - 1)
    widths[0] = max(12, min(widths[0], room))
    return [
        "  ".join(
            [_cut(line[0], widths[0]).ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in table
    ]


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    left = (width - 2) // 2
    return f"{text[:left]}..{text[-(width - 2 - left) :]}"
