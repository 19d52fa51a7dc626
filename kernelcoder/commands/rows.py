# SPDX-License-Identifier: Apache-2.0
"""Print one record per cell: a table, or JSON lines of the finished ones.

Reads ledgers only; nothing is run and nothing heavy is loaded.
"""

from __future__ import annotations

import argparse
import json
import sys

from kernelcoder import errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--all", action="store_true", help="with --json: unfinished cells too")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")


def run(args: argparse.Namespace) -> int:
    """Table of all matching cells, or JSON lines."""
    from kernelcoder.commands import _results
    from kernelcoder.report.rows import cell_row

    rows = [cell_row(run) for run in _results.runs(args.globs, args.machine)]
    if not args.json:
        from kernelcoder.report.table import print_cells

        print_cells(rows, sys.stdout)
        return errors.DONE
    for row in rows:
        if row["finished"] or args.all:
            print(json.dumps(row, allow_nan=False))
    return errors.DONE
