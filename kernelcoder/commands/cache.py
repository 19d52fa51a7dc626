# SPDX-License-Identifier: Apache-2.0
"""Show what the semantic cache of a cell served, how often it was wrong, and its thresholds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernelcoder import errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("cell", metavar="CELL", help="a cell id, a glob of ids, or 'all'")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")


def run(args: argparse.Namespace) -> int:
    """A few lines per cell with a cache; exit 2 if none of the chosen cells has one."""
    from kernelcoder.commands.audit import folders

    chosen = folders(args.cell)
    found = [one for one in map(summary, chosen) if one is not None]
    if not found:
        what = f"no cache learnt anything in {', '.join(path.name for path in chosen)}"
        raise errors.Error(what, fix="MEMORY_CACHE=y makes cells with one")
    for one in found:
        print(json.dumps(one, allow_nan=False) if args.json else "\n".join(lines(one)))
    return errors.DONE


def summary(cell_dir: Path) -> dict[str, Any] | None:
    """Counts and entries after the last task that taught; None for a cell without a cache."""
    from kernelcoder import ledger
    from kernelcoder.memory.caching.thresholds import threshold

    meta = json.loads((cell_dir / "cell.json").read_text(encoding="utf-8"))
    learnt = [
        event.data
        for event in ledger.read(cell_dir / ledger.NAME)
        if event.kind == "learn" and event.data.get("of", "memory") == "memory"
    ]
    if meta["axes"]["memory"] != "cache" or not learnt:
        return None
    snapshot = json.loads(ledger.read_blob(cell_dir, learnt[-1]["snapshot"]))
    wrong = int(meta["values"]["MEMORY_CACHE_WRONG_PERCENT"]) / 100
    entries = [
        {
            "task": entry["task"],
            "from": entry["provenance"],
            "threshold": round(threshold(entry["trials"], wrong), 3),
            "trials": len(entry["trials"]),
            "right": sum(right for _, right in entry["trials"]),
        }
        for entry in snapshot["entries"].values()
    ]
    return {"cell": cell_dir.name, **snapshot["stats"], "entries": entries}


def lines(one: Mapping[str, Any]) -> list[str]:
    """A few lines for a person."""
    from kernelcoder.report.table import grid

    tried = f"{one['hits']} hits, {one['wrong']} of them wrong"
    text = [
        f"{one['cell']}: {one['lookups']} tasks, {tried}",
        f"  {one['explored']} tried without being served, {one['explored_right']} of them right",
        f"  {one['rejected']} entries did not fit a task, {one['invalidated']} were dropped",
    ]
    head = ["  kernel of", "threshold", "tried", "right"]
    rows = [
        [f"  {entry['task']}", _limit(entry["threshold"]), str(entry["trials"])]
        + [str(entry["right"])]
        for entry in one["entries"]
    ]
    return text + grid(head, rows) if rows else text


def _limit(value: float) -> str:
    return "never" if value > 1 else f"{value:.3f}"
