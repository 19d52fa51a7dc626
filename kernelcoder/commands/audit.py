# SPDX-License-Identifier: Apache-2.0
"""Derive every reported number again from the ledgers, and detect tampering."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import errors, paths

if TYPE_CHECKING:
    from kernelcoder.auditing import Audit


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("cell", help="a cell id, a glob of ids, or 'all'")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")


def run(args: argparse.Namespace) -> int:
    """Exit 0 if every chosen cell is sound, 1 if one is not."""
    from kernelcoder.auditing import audit

    found = [audit(folder) for folder in folders(args.cell)]
    for one in found:
        if args.json:
            print(json.dumps(dataclasses.asdict(one)))
        else:
            print("\n".join(lines(one)))
    return errors.BROKEN if any(one.problems for one in found) else errors.DONE


def folders(pattern: str) -> list[Path]:
    """Cell folders of this machine whose id is, or matches, the pattern. None is an error."""
    here = paths.results()
    elsewhere = here.parent.glob(f"{here.name}+*/*/ledger.jsonl")  # what did not run natively
    ledgers = sorted([*here.glob("*/ledger.jsonl"), *elsewhere])
    known = [path.parent for path in ledgers]
    glob = "*" if pattern == "all" else pattern
    chosen = [one for one in known if fnmatch.fnmatchcase(one.name, glob)]
    if not chosen:
        fix = f"cells here: {', '.join(one.name for one in known) or 'none yet'}"
        raise errors.Error(f"no cell {pattern!r} in {paths.results()}", fix=fix)
    return chosen


def lines(one: Audit) -> list[str]:
    """A few lines for a person."""
    from kernelcoder.auditing import LEVELS

    if one.problems:
        return [f"{one.cell}: NOT SOUND", *(f"  {problem}" for problem in one.problems)]
    state = "finished" if one.finished else "unfinished"
    facts = one.numbers
    counts = ", ".join(f"{count} {status}" for status, count in facts["statuses"].items())
    if facts["quarantined"]:
        counts += f"; {facts['quarantined']} more quarantined"
    text = [
        f"{one.cell}: sound, {state}; {one.events} events, {one.blobs} blobs",
        f"  {one.guarantee}: {LEVELS.get(one.guarantee, '')}",
        f"  {facts['attempts']} attempts ({counts}), {facts['calls']} calls, {facts['paid']} paid",
    ]
    for task, result in sorted(facts["results"].items()):
        if isinstance(result, dict):
            shown = ", ".join(f"{ratio:.3f}x {name}" for name, ratio in result.items())
        else:
            shown = "verified, untimed" if result else "no result"
        text.append(f"  {task}: {shown}")
    if one.torn:
        text.append(f"  a last line of {one.torn} bytes is torn or being written")
    return text
