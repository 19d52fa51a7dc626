# SPDX-License-Identifier: Apache-2.0
"""Show how far each cell is, from the ledgers alone; safe during a run."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelcoder.standing import Standing


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("--config", help="configuration file (default: .config)")
    parser.add_argument("--only", default="", metavar="GLOB", help="cells whose id matches")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")


def run(args: argparse.Namespace) -> int:
    """One line per cell, the whole on the last line."""
    from kernelcoder import config, matrix
    from kernelcoder.standing import standing

    chosen = matrix.select(matrix.cells(config.load(args.config)), args.only)
    found = [standing(cell, matrix.folder(cell), len(matrix.tasks(cell))) for cell in chosen]
    if args.json:
        for one in found:
            print(json.dumps(dataclasses.asdict(one)))
        return 0
    for line in table(found):
        print(line)
    return 0


def table(found: Sequence[Standing]) -> list[str]:
    """Aligned lines; ``~`` marks a best that is a search timing. Tokens and cost are charged; what
    was answered from recordings was paid before."""
    from kernelcoder.wording import count, duration, money

    head = (
        "cell",
        "state",
        "tasks",
        "verified",
        "best",
        "attempts",
        "tokens",
        "cost",
        "paid",
        "device",
        "time",
        "left",
    )
    rows = [head]
    for one in found:
        best = "-" if one.best is None else f"{'' if one.final else '~'}{one.best:.2f}x"
        rows.append(
            (
                one.cell,
                one.state,
                f"{one.ended}/{one.tasks}",
                str(one.verified),
                best,
                str(one.attempts),
                count(one.tokens),
                money(one.usd),
                money(one.usd_paid),
                duration(one.device_s),
                duration(one.seconds),
                "-" if one.left is None else duration(one.left),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        fields = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(fields).rstrip())
    ended, tasks = sum(one.ended for one in found), sum(one.tasks for one in found)
    verified = sum(one.verified for one in found)
    done = sum(one.state == "done" for one in found)
    lines.append(
        f"{done} of {len(found)} cells done, {ended} of {tasks} tasks, {verified} verified"
    )
    return lines
