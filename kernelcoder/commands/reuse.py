# SPDX-License-Identifier: Apache-2.0
"""Take finished cells of .config over from another results folder instead of running them again.

A cell is refused, with the list of everything that differs, unless its settings, verifier, prompts,
tasks and (where it was timed) kind of machine are the same and its ledger passes the audit. Nothing
is copied if one of the chosen cells is refused; --check copies nothing at all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kernelcoder import config, errors, matrix


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("cell", help="a cell id, or a glob of ids, of the configuration")
    parser.add_argument("--from", dest="origin", required=True, metavar="DIR", help="results of")
    parser.add_argument("--config", metavar="FILE", help="configuration (default: .config)")
    parser.add_argument("--check", action="store_true", help="say whether it may be taken, only")


def run(args: argparse.Namespace) -> int:
    """Check all, then copy all. Exit code 2 if one is refused."""
    from kernelcoder import reusing
    from kernelcoder.runner import maker_of

    chosen = matrix.select(matrix.cells(config.load(args.config)), args.cell)
    found, problems = [], []
    for cell in chosen:
        theirs = reusing.find(Path(args.origin), cell.id)
        wrong = reusing.differences(cell, maker_of(cell, matrix.tasks(cell)), theirs)
        for one in wrong:
            problems.append(errors.Problem(f"{cell.id}: {one.where}", one.what, one.fix))
        found.append((cell, theirs))
    if problems:
        what = "these results are not those of this configuration: nothing was taken over"
        raise errors.Error(what, args.origin, "make bench runs the cells", problems)
    for cell, theirs in found:
        where = "may be taken over" if args.check else f"-> {reusing.take(cell, theirs)}"
        print(f"{cell.id} {where}")
    return errors.DONE
