# SPDX-License-Identifier: Apache-2.0
"""Configurations side by side, paired per task: A=<name> B=<name> [C=<name>].

Each is a defconfig, a configuration file, or a cell id or glob. Settings that differ come first.
Other machines or another verifier are refused unless --force is given.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import errors, paths

if TYPE_CHECKING:
    from kernelcoder.report.compare import Side

LETTERS = ("A", "B", "C")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("sides", nargs="*", metavar="X=NAME", help="A=..., B=..., C=...")
    for letter in LETTERS:
        parser.add_argument(
            f"--{letter.lower()}", metavar="NAME", help=f"the same as {letter}=NAME"
        )
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")
    parser.add_argument("--force", action="store_true", help="compare what should not be compared")
    parser.add_argument("--html", metavar="FILE", help="also write a self-contained page")
    parser.add_argument("--json", action="store_true", help="contrasts as JSON, nothing else")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; exit 2 if the sides cannot be found or compared."""
    from kernelcoder.report import compare, compare_views

    sides = [_side(letter, name, args.machine) for letter, name in _named(args).items()]
    found = compare.compare(sides, args.force)
    if args.json:
        print(json.dumps(compare_views.lines_of(found.contrasts), allow_nan=False))
    else:
        compare_views.print_comparison(found, sys.stdout)
    if args.html:
        path = Path(args.html)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(compare_views.comparison_page(found), encoding="utf-8")
    return errors.DONE


def _named(args: argparse.Namespace) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in args.sides:
        letter, equals, name = text.partition("=")
        if not equals or letter.upper() not in LETTERS or not name:
            raise errors.Error(f"not a side: {text!r}", fix="write A=<name> B=<name>")
        named[letter.upper()] = name
    for letter in LETTERS:
        given = getattr(args, letter.lower())
        if given:
            named[letter] = given
    if "A" not in named or "B" not in named:
        raise errors.Error(
            "compare needs two sides", fix="make compare A=<defconfig, file or glob> B=<the same>"
        )
    return {letter: named[letter] for letter in LETTERS if letter in named}


def _side(letter: str, name: str, machine: str) -> Side:
    """Cells of a defconfig, of a configuration file, or matching a glob, in this order."""
    from kernelcoder import config, matrix
    from kernelcoder.report import source
    from kernelcoder.report.compare import Side

    root, where = paths.results().parent, machine or paths.machine()
    candidates = (paths.ROOT / "defconfigs" / name, Path(name))
    file = next((path for path in candidates if path.is_file()), None)
    if file is not None:
        ids = {cell.id for cell in matrix.cells(config.load(file, ()))}
        folders = [path for path in source.find(root, machine=where) if path.name in ids]
    else:
        folders = source.find(root, [name], where)
        if not folders:
            raise errors.Error(
                f"{name!r} is no defconfig, no file, and no cell's id or glob",
                where=letter,
                fix="make list-defconfigs and make status list what there is",
            )
    return Side(letter, name, tuple(source.load_all(folders)))
