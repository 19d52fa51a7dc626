# SPDX-License-Identifier: Apache-2.0
"""Configurations side by side, paired per task: A=<name> B=<name> [C=<name>].

Each is a defconfig, a configuration file, or a cell id or glob. Settings that differ come first.
A=<name> alone prints the contrasts that its cells declared before they ran.
Other machines or another verifier are refused unless --force is given. --run first runs, without
asking, what is not finished of each side.
"""

from __future__ import annotations

import argparse
import contextlib
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
    parser.add_argument("--run", action="store_true", help="first bench what is not finished")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; exit 2 if the sides cannot be found or compared."""
    from kernelcoder.report import compare, compare_views

    if args.run:
        _bench(_named(args))
    sides = [_side(letter, name, args.machine) for letter, name in _named(args).items()]
    if len(sides) == 1:
        return _declared(sides[0], args)
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


def _declared(side: Side, args: argparse.Namespace) -> int:
    """The declared contrasts among the cells of one side."""
    from kernelcoder.report import contrast_views, contrasts
    from kernelcoder.report.html import document
    from kernelcoder.report.quote import esc

    if not side.runs:
        raise errors.Error(f"{side.name}: no results", where="A", fix="make bench runs it")
    found = contrasts.family(side.runs)
    if not found.contrasts:
        raise errors.Error(
            "compare needs two sides, or one whose cells declared contrasts among themselves",
            where=f"A: {side.name}",
            fix="name B as well, or see RUN_CONTRASTS",
            problems=[errors.Problem("", note) for note in found.notes],
        )
    if args.json:
        print(json.dumps(contrast_views.records(found), allow_nan=False))
    else:
        print("\n".join([f"A: {side.name}", *contrast_views.lines(found)]))
    if args.html:
        parts = [("contrasts", "Declared contrasts", contrast_views.section(found))]
        page = document("KernelCoder comparison", esc(side.name), parts)
        path = Path(args.html)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
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
    if "A" not in named:
        raise errors.Error(
            "compare needs a side A, and B to hold against it",
            fix="make compare A=<defconfig, file or glob> B=<the same>",
        )
    return {letter: named[letter] for letter in LETTERS if letter in named}


def _side(letter: str, name: str, machine: str) -> Side:
    """Cells of a defconfig, of a configuration file, or matching a glob, in this order."""
    from kernelcoder import config, matrix
    from kernelcoder.report import source
    from kernelcoder.report.compare import Side

    root, where = paths.results().parent, machine or paths.machine()
    if (file := _file(name)) is not None:
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


def _file(name: str) -> Path | None:
    """The file of a configuration, None for a cell id or glob."""
    candidates = (paths.ROOT / "defconfigs" / name, Path(name))
    return next((path for path in candidates if path.is_file()), None)


def _bench(named: dict[str, str]) -> None:
    """Run what is not finished of every side, one after the other, as make bench does."""
    from kernelcoder.commands import bench

    files = {letter: _file(name) for letter, name in named.items()}
    if lost := [letter for letter, file in files.items() if file is None]:
        fix = "name defconfigs or files"
        raise errors.Error("--run needs configurations", ", ".join(lost), fix)
    with contextlib.redirect_stdout(sys.stderr):  # what is compared stands alone on stdout
        for letter, file in files.items():
            code = bench.run(argparse.Namespace(config=str(file), only="", shard="", fresh=False))
            if code != errors.DONE:
                raise errors.Error("its bench did not finish: see above", letter, code=code)
