# SPDX-License-Identifier: Apache-2.0
"""Give a judged attempt a score and a note; later prompts and choices of its cell take them in.

It changes no verdict and no figure of a report. The note stands beside the verifier's feedback in
every later prompt that shows the attempt, the score shifts how methods and routers value it.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from kernelcoder import errors, paths
from kernelcoder.errors import Error

MOST = 1000  # characters of a note: prompts have other things to say as well
FORM = "CELL/SUITE/TASK#ORDINAL, for example refine_..._s0-1a2b3c4d/core/relu#3"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("attempt", metavar="ATTEMPT", help=FORM)
    parser.add_argument("--score", required=True, help="from -1 (bad) through 0 to 1 (good)")
    parser.add_argument("--note", required=True, help="what you saw, in a sentence or two")


def run(args: argparse.Namespace) -> int:
    """Append one event to the cell's ledger, finished or not."""
    from kernelcoder.ledger import NAME, Ledger
    from kernelcoder.states import IllegalTransition

    cell, task, ordinal = place(args.attempt)
    data = {"score": score(args.score), "note": note(args.note)}
    with Ledger(folder(cell) / NAME) as ledger:
        try:
            ledger.append("feedback", data, task, ordinal)
        except IllegalTransition as problem:
            fix = f"python -m kernelcoder attempts '{cell}' lists the judged attempts"
            raise Error(str(problem), args.attempt, fix) from None
        when = "once the cell is continued, for example with a higher BUDGET"
        if not ledger.closed:
            when = "when make bench goes on"
    print(f"{args.attempt}: {data['score']:+g} is recorded; it counts {when}")
    return errors.DONE


def place(text: str) -> tuple[str, str, int]:
    """Cell, task and ordinal of an attempt's name."""
    cell, _, rest = text.partition("/")
    task, _, number = rest.rpartition("#")
    if not cell or not task or not (number.isascii() and number.isdigit()):
        raise Error(f"{text!r} names no attempt", fix=f"write {FORM}")
    return cell, task, int(number)


def score(text: str) -> float:
    """The score as a number in [-1, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1.0 <= value <= 1.0:  # false for NaN as well
        raise Error(f"--score {text} is no number from -1 to 1", fix="0 is a score as well")
    return value


def note(text: str) -> str:
    """The note on one line: a prompt's sections must stay what they are."""
    line = " ".join(text.split())
    if not line or len(line) > MOST:
        what = "--note is empty" if not line else f"--note has {len(line)} characters"
        raise Error(what, fix=f"say in at most {MOST} characters what you saw")
    return line


def folder(cell: str) -> Path:
    """The folder of a cell of this machine, whatever mode its backend ran in."""
    here = paths.results()
    found = [here / cell, *sorted(here.parent.glob(f"{here.name}+*/{cell}"))]
    known = [path for path in found if "*" not in cell and (path / "ledger.jsonl").is_file()]
    if not known:
        fix = "python -m kernelcoder attempts lists the cells and their attempts"
        raise Error(f"no cell {cell!r} in {here}", fix=fix)
    return known[0]
