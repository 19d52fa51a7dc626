# SPDX-License-Identifier: Apache-2.0
"""Print one record per attempt: a table, or JSON lines.

Reads ledgers only. The speedup here is the search timing; results are re-timed (see rows).
"""

from __future__ import annotations

import argparse
import json

from kernelcoder import errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")


def run(args: argparse.Namespace) -> int:
    """Lines in order of cell, task and ordinal."""
    from kernelcoder.commands import _results
    from kernelcoder.report.rows import attempt_rows

    rows = attempt_rows(_results.runs(args.globs, args.machine))
    if args.json:
        for row in rows:
            print(json.dumps(row, allow_nan=False))
        return errors.DONE
    if not rows:
        print("no attempts yet: `make bench` makes some")
        return errors.DONE
    from kernelcoder.report.claims import times
    from kernelcoder.report.quote import short
    from kernelcoder.report.table import grid

    head = ["task", "#", "role", "status", "search", "same as"]
    for cell in dict.fromkeys(row["cell"] for row in rows):
        print(cell)
        mine = [row for row in rows if row["cell"] == cell]
        body = [
            [
                f"  {row['task']}",
                str(row["ordinal"]),
                row["role"],
                row["status"] or "not judged",
                times(row["search"]),
                "" if row["duplicate_of"] is None else f"#{row['duplicate_of']}",
            ]
            for row in mine
        ]
        lines = grid(head, body)
        print(lines[0])
        for row, line in zip(mine, lines[1:], strict=True):
            failed = row["status"] not in (None, "verified")
            print(f'{line}  "{short(row["reason"] or "", 60)}"' if failed else line)
    return errors.DONE
