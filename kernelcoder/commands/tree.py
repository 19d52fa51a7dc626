# SPDX-License-Identifier: Apache-2.0
"""Print the trees that a search grew, and how well its reward model guessed.

Any method has a tree: a child was made from its parent's code. Reads ledgers only. Q and N are what
the tree methods go by; they steer a search and are never a result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kernelcoder import errors

if TYPE_CHECKING:
    from kernelcoder.methods.trees.tree import Node
    from kernelcoder.report.source import CellRun

_PLAIN_DEBUG_DEPTH = 3  # where the method has none of its own; it closes nodes, counts nothing else


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids (default: all)")
    parser.add_argument("--nodes", action="store_true", help="every attempt, indented by its depth")
    parser.add_argument("--json", action="store_true", help="one JSON object per task")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")


def run(args: argparse.Namespace) -> int:
    """Cells in order, their tasks in order."""
    from kernelcoder.commands import _results

    found = _results.runs(args.globs, args.machine)
    if not found and not args.json:
        print("no attempts yet: `make bench` makes some")
    for cell in found:
        trees = _trees(cell)
        model = _evaluation(cell)
        if args.json:
            for task, (_, counts) in trees.items():
                record = {"cell": cell.id, "task": task, **counts}
                print(json.dumps(record | ({"reward_model": model} if model else {})))
        else:
            _show(cell, trees, model, args.nodes)
    return errors.DONE


def _trees(cell: CellRun) -> dict[str, tuple[Node, dict[str, int]]]:
    """The root and the counts per task, from the attempts that have a verdict."""
    from kernelcoder import ledger, registry
    from kernelcoder.history import History
    from kernelcoder.methods.trees.tree import grow, statistics

    member = str(cell.meta.get("axes", {}).get("method", ""))
    method = registry.module("METHOD", member)
    summary = getattr(method, "summary", None)
    options = registry.options("METHOD", member, cell.values) if summary else None
    depth = getattr(options, "debug_depth", _PLAIN_DEBUG_DEPTH)
    events = ledger.read(cell.folder / "ledger.jsonl")
    found = {}
    for task in (*cell.lessons, *cell.tasks):
        attempts = tuple(ledger.attempts(events, task.id, cell.folder))
        size = len(attempts)
        history = History(task.id, size, attempts, (), size, 1, task.baseline)
        root = grow(history, depth)
        found[task.id] = (root, summary(history, options) if summary else statistics(root))
    return found


def _evaluation(cell: CellRun) -> Mapping[str, Any] | None:
    """What the method last recorded of its reward model; None if it has none."""
    from kernelcoder import ledger

    last = None
    for event in ledger.read(cell.folder / "ledger.jsonl"):
        if event.kind == "learn" and event.data.get("of") == "method":
            last = json.loads(ledger.read_blob(cell.folder, event.data["snapshot"]))
    found: Mapping[str, Any] | None = last.get("evaluation") if last else None
    return found


def _show(
    cell: CellRun,
    trees: Mapping[str, tuple[Node, Mapping[str, int]]],
    model: Mapping[str, Any] | None,
    nodes: bool,
) -> None:
    from kernelcoder.report.table import grid

    print(cell.id)
    names = ("attempts", "root_children", "deepest", "widest", "closed", "pruned", "in_pruned")
    body = [[f"  {task}", *(str(one[name]) for name in names)] for task, (_, one) in trees.items()]
    head = ["task", *(name.replace("_", " ") for name in names)]
    lines = grid(head, body)
    print(lines[0])
    baselines = {task.id: task.baseline for task in (*cell.lessons, *cell.tasks)}
    for (task, (root, _)), line in zip(trees.items(), lines[1:], strict=True):
        print(line)
        if nodes:
            for node in root.walk():
                if node is not root:
                    print(_node(node, baselines[task]))
    for line in _model(model) if model else ():
        print(f"  {line}")


def _node(node: Node, baseline: str) -> str:
    """One attempt: what it is, what came of it, and what the walk knows of its subtree."""
    from kernelcoder.report.claims import times

    attempt = node.attempt
    assert attempt is not None  # pending proposals are not in a ledger's attempts
    speed = attempt.speedup(baseline)
    head = f"{'  ' * (node.depth + 1)}#{node.ordinal} {attempt.proposal.role}"
    parts = [
        f"{head}: {attempt.verdict.status}",
        f"{times(speed)}x {baseline} in the search" if speed else "",
        f"a copy of #{attempt.duplicate_of}" if attempt.duplicate_of is not None else "",
        "closed" if node.closed and attempt.duplicate_of is None else "",
        f"N {node.visits}",
        f"Q {node.quality:.2f}",
    ]
    return ", ".join(part for part in parts if part)


def _model(model: Mapping[str, Any]) -> list[str]:
    """The prequential evaluation in words."""
    lines = [f"reward model: {model['labels']} labels, weight {model['weight']:.2f}"]
    for name, what in (("correct", "that it is right"), ("gained", "that it gains")):
        one = model[name]
        if not one["scored"]:
            lines.append(f"chance {what}: nothing guessed yet")
            continue
        area = "-" if one["area"] is None else f"{one['area']:.2f}"
        lines.append(
            f"chance {what}: Brier {one['brier']:.3f}, a constant's {one['brier_constant']:.3f}"
            f" (n = {one['scored']}); area under the ROC curve {area}"
        )
        bins = ", ".join(f"{said:.2f}: {came:.2f} ({n})" for said, came, n in one["calibration"])
        lines.append(f"  said: came true (n)  {bins}")
    rank = model["rank_correlation"]
    known = "-" if rank is None else f"{rank:.2f}"
    return [*lines, f"rank correlation of expected and real gain {known}"]
