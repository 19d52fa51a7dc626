# SPDX-License-Identifier: Apache-2.0
"""List the cells of the configuration and their state; spends nothing."""

from __future__ import annotations

import argparse
import json

from kernelcoder import cell_state, config, errors, estimating, matrix
from kernelcoder.cell_state import State
from kernelcoder.commands import _cells
from kernelcoder.matrix import Cell


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    _cells.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table. Exit code 3 if a selected cell is unfinished and cannot run here."""
    settings = config.load(args.config)
    cells = matrix.select(matrix.cells(settings), args.only, args.shard)
    states = [(cell, cell_state.state(cell)) for cell in cells]
    refused = matrix.refused(settings)
    if args.json:
        for cell, state in states:
            print(json.dumps(_record(cell, state)))
    else:
        _table(settings, states, refused)
    blocked = any(state.kind == "blocked" for _, state in states)
    return errors.CANNOT_RUN if blocked else errors.DONE


def _attempts(cell: Cell, state: State) -> int:
    return state.total * matrix.most_attempts(cell)


def _cost(cell: Cell) -> str:
    if estimating.free(cell):  # any other may cost something, and its price is not ours to guess
        return "free"
    cents = int(cell.values["BUDGET_CENTS"])
    return f"${cents / 100:.2f}" if cents else "no cap"


def _record(cell: Cell, state: State) -> dict[str, object]:
    return {
        "cell": cell.id,
        **{axis.lower(): member for axis, member in cell.members.items()},
        "seed": cell.seed,
        "mode": state.mode,
        "state": state.kind,
        "finished": state.finished,
        "tasks": state.total,
        "reason": state.reason,
        "attempts_at_most": _attempts(cell, state),
        "cost_at_most": _cost(cell),
    }


def _table(
    settings: config.Settings, states: list[tuple[Cell, State]], refused: list[tuple[str, str]]
) -> None:
    width = max((len(cell.id) for cell, _ in states), default=4)
    print(f"{'cell':<{width}}  {'attempts':>8}  {'cost':>7}  {'mode':<11}  state")
    for cell, state in states:
        most = f"<={_attempts(cell, state)}"
        mode = state.mode or "none"
        print(f"{cell.id:<{width}}  {most:>8}  {_cost(cell):>7}  {mode:<11}  {state}")
    for identity, reason in refused:
        print(f"{identity:<{width}}  {'':>8}  {'':>7}  {'':<11}  refused: {reason}")
    for line in sorted({matrix.stand_in(cell) for cell, _ in states} - {""}):
        print(line)
    kinds = [state.kind for _, state in states]
    blocked = kinds.count("blocked")
    cells = "1 cell" if len(states) == 1 else f"{len(states)} cells"
    print(
        f"{cells} of {settings.source}: {kinds.count('done')} done, "
        f"{len(kinds) - kinds.count('done') - blocked} to run, {blocked} cannot run here"
    )
