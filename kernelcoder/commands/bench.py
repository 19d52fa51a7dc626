# SPDX-License-Identifier: Apache-2.0
"""Run every unfinished cell of the configuration that can run here.

Running again continues where it stopped and repeats nothing. ``--fresh`` moves the chosen
cells' folders to ``aside/`` first; recorded replies are used again all the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelcoder import cells, config, errors, matrix, paths
from kernelcoder.wording import tally

if TYPE_CHECKING:
    from kernelcoder.matrix import Cell
    from kernelcoder.runner import Outcome


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("--config", help="configuration file (default: .config)")
    parser.add_argument("--only", default="", metavar="GLOB", help="cells whose id matches")
    parser.add_argument("--shard", default="", metavar="I/N", help="every N-th cell from the I-th")
    parser.add_argument("--fresh", action="store_true", help="set the cells aside and start anew")


def run(args: argparse.Namespace) -> int:
    """Plan, run, table. Exit 1 if a cell broke or stayed unfinished, 3 if some cannot run here."""
    settings = config.load(args.config)
    chosen = matrix.select(matrix.cells(settings), args.only, args.shard)
    for cell in chosen:
        matrix.tasks(cell)
    from kernelcoder import runner

    good, rest = runner.runnable(chosen)
    workers = runner.workers_of(int(settings["RUN_WORKERS"]))
    print(f"bench: {_plan(chosen, good)}")
    places = sorted({str(matrix.folder(cell).parent) for cell in good}) or [str(paths.results())]
    print(f"       {workers} workers, results in {', '.join(places)}")
    for line in sorted({matrix.stand_in(cell) for cell in good} - {""}):
        print(f"       {line}")
    for reason, ids in _by_reason(rest).items():
        print(f"cannot run here: {reason}: {', '.join(ids)}")
    if args.fresh:
        for cell in good:
            if (moved := cells.set_aside(cell)) is not None:
                print(f"set aside: {cell.id} -> {moved}")
    sys.stdout.flush()
    outcomes = rest + (_run(good, str(settings["VERIFY_BASELINE"]), workers) if good else [])
    _table([outcome.cell for outcome in outcomes if outcome.state != "broken"])
    return _finish(outcomes)


def _plan(chosen: Sequence[Cell], good: Sequence[Cell]) -> str:
    tasks = sum(len(matrix.tasks(cell)) for cell in good)
    most = sum(len(matrix.tasks(cell)) * matrix.most_attempts(cell) for cell in good)
    several = "" if len(good) == len(chosen) else f"{len(good)} of "
    whole = f"{tally(len(chosen), 'cell')}, {tally(tasks, 'task')}"
    return f"{several}{whole}, at most {tally(most, 'attempt')}"


def _by_reason(rest: Sequence[Outcome]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for outcome in rest:
        found.setdefault(outcome.note, []).append(outcome.cell.id)
    return found


def _run(good: Sequence[Cell], baseline: str, workers: int) -> list[Outcome]:
    from kernelcoder.progress import open_progress
    from kernelcoder.runner import Runner

    progress = open_progress(sys.stdout, baseline)
    try:
        with Runner(progress, workers) as runner:
            return runner.run(good)
    finally:
        progress.close()


def _table(done: Sequence[Cell]) -> None:
    """The final table of the cells that have a ledger; a broken one reports nothing."""
    from kernelcoder.report.rows import rows_of
    from kernelcoder.report.table import print_cells

    folders = [matrix.folder(cell) for cell in done]
    found = [folder for folder in folders if (folder / "ledger.jsonl").is_file()]
    if found:
        print()
        print_cells(rows_of(found))


def _finish(outcomes: Sequence[Outcome]) -> int:
    """What is left to do, the next command, and the exit code."""
    from kernelcoder.runner import CODES

    states = {outcome.state for outcome in outcomes}
    for outcome in outcomes:
        if outcome.state not in ("done", "cannot run"):
            print(f"{outcome.state}: {outcome.cell.id}", file=sys.stderr)
    if rest := [outcome.cell.id for outcome in outcomes if outcome.state == "cannot run"]:
        print(f"{len(rest)} cells cannot run here (make matrix says why)", file=sys.stderr)
    if "interrupted" in states:
        print("interrupted: make bench resumes")
        return errors.INTERRUPTED
    print("next: make report" if states <= {"done"} else "next: make bench resumes what is left")
    for state in ("broken", "unfinished", "held", "cannot run"):
        if state in states:
            return CODES[state]
    return errors.DONE
