# SPDX-License-Identifier: Apache-2.0
"""What the cells may take before anything is spent: attempts, tokens, money, time.

Takes .config, or configurations by name, file or folder. Figures come from earlier cells of this
machine where there are any (n says how many), else from defaults that are printed below the table.
Nothing is created and no model is called. Exit code 3 if a cell cannot run here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import config, config_files, errors, matrix, paths
from kernelcoder.commands import _cells
from kernelcoder.matrix import Cell

if TYPE_CHECKING:
    from kernelcoder.estimating import Estimate, Figure


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="defconfigs, files or folders")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")
    _cells.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table. Exit code 3 if a selected cell is unfinished and cannot run here."""
    from kernelcoder import estimating

    chosen = _chosen(args)
    earlier = estimating.history(chosen, paths.results())
    found = [estimating.estimate(cell, earlier) for cell in chosen]
    if args.json:
        for one in found:
            print(json.dumps(dataclasses.asdict(one), allow_nan=False))
    else:
        print("\n".join(table(found)))
    return errors.CANNOT_RUN if any(one.reason for one in found) else errors.DONE


def _chosen(args: argparse.Namespace) -> list[Cell]:
    """The selected cells of every named configuration, each cell once."""
    settings = [config_files.resolve(name) for name in _expanded(args.names)]
    if not args.names:
        settings = [config.load(args.config)]
    every = {cell.id: cell for one in settings for cell in matrix.cells(one)}
    return matrix.select(list(every.values()), args.only, args.shard)


def _expanded(names: Sequence[str]) -> list[str]:
    """Names with every folder replaced by the configurations in it."""
    found = []
    for name in names:
        if not Path(name).is_dir():
            found.append(name)
            continue
        inside = [str(path) for path in sorted(Path(name).iterdir()) if path.is_file()]
        if not inside:
            raise errors.Error("the folder holds no configuration", where=name)
        found += inside
    return found


def table(found: Sequence[Estimate]) -> list[str]:
    """Aligned lines, the sum, what the figures rest on, and what cannot run."""
    from kernelcoder.estimating import DEFAULTS

    head: tuple[str, ...] = ("cell", "attempts", "tokens", "cost", "time", "n", "from")
    rows = [head, *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        fields = [
            text.ljust(width) if column in (0, 6) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(fields).rstrip())
    lines.append(_sum(found))
    if any("default" in (one.tokens.basis, one.seconds.basis) for one in found):
        lines.append(DEFAULTS)
    if capped := sorted({name for one in found for name in one.capped}):
        lines.append(f"*: the cap of the configuration on {', '.join(capped)} decides")
    lines += [f"cannot run here: {one.cell}: {one.reason}" for one in found if one.reason]
    return lines


def _row(one: Estimate) -> tuple[str, ...]:
    bases = dict.fromkeys(f.basis for f in (one.tokens, one.usd, one.seconds))
    return (
        one.cell,
        f"<={one.attempts}",
        _text(one, "tokens"),
        _text(one, "usd"),
        _text(one, "seconds"),
        str(one.seconds.n),
        "; ".join(bases),
    )


def _text(one: Estimate, name: str) -> str:
    from kernelcoder.wording import count, duration, money

    figure: Figure = getattr(one, name)
    star = "*" if name in one.capped else ""
    if figure.value is None:
        return f"unknown, <={money(one.usd_cap)}" if name == "usd" and one.usd_cap else "unknown"
    if name == "tokens":
        return count(round(figure.value)) + star
    return (money(figure.value) if name == "usd" else duration(figure.value)) + star


def _sum(found: Sequence[Estimate]) -> str:
    """Totals of what can run here, unknown where a part is, with the range over earlier cells."""
    from kernelcoder.wording import count, duration, money, tally

    able = [one for one in found if not one.reason]
    tokens, usd, seconds = (
        [_total([getattr(getattr(one, name), edge) for one in able]) for edge in _EDGES]
        for name in ("tokens", "usd", "seconds")
    )
    attempts = sum(one.attempts for one in able)
    shown = [
        f"{tally(len(able), 'cell')}: at most {tally(attempts, 'attempt')}",
        _range([None if one is None else count(round(one)) for one in tokens]) + " tokens",
        "cost " + _range([None if one is None else money(one) for one in usd]),
        _range([None if one is None else duration(one) for one in seconds]),
    ]
    return ", ".join(shown)


_EDGES = ("value", "low", "high")


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _range(texts: Sequence[str | None]) -> str:
    value, low, high = texts
    if value is None:
        return "unknown"
    return value if low == high else f"{value} ({low} to {high})"
