# SPDX-License-Identifier: Apache-2.0
"""Show what a cell's router chose and earned, and what other routers would have.

Estimates are read from the logged probabilities by inverse-propensity weighting. They compare arms
in the situations this router came to; for a result, run a cell per arm (ROUTER_FIXED).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder import errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("cell", metavar="CELL", help="a cell id, a glob of ids, or 'all'")
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")


def run(args: argparse.Namespace) -> int:
    """One table per cell that has a router; exit 2 if none of the chosen cells has one."""
    from kernelcoder.commands.audit import folders
    from kernelcoder.report.routers import summary

    chosen = folders(args.cell)
    found = [one for one in map(summary, chosen) if one is not None]
    if not found:
        what = f"no router chose anything in {', '.join(path.name for path in chosen)}"
        raise errors.Error(what, fix="ROUTER_LINTS=y (or another ROUTER_*) makes cells with one")
    for one in found:
        if args.json:
            print(json.dumps(dataclasses.asdict(one), allow_nan=False))
        else:
            print("\n".join(lines(dataclasses.asdict(one))))
    return errors.DONE


def lines(one: Mapping[str, Any]) -> list[str]:
    """A few lines for a person."""
    from kernelcoder.report.table import grid

    head = ["  arm", "chosen", "answered", "verified", "mean reward"]
    rows = [
        [f"  {name}", *(str(arm[key]) for key in ("chosen", "answered", "verified"))]
        + [_number(arm["reward"])]
        for name, arm in one["arms"].items()
    ]
    text = [f"{one['cell']}: router {one['router']}, {one['decisions']} decisions"]
    text += grid(head, rows)
    for name, arm in one["arms"].items():
        if arm["served"]:
            text.append(f"  {name} was served by {', '.join(arm['served'])}")
    if one["unreachable"]:
        text.append(f"  {one['unreachable']} attempts were answered by another arm than chosen")
    head = ["  had it been", "IPS [95 %]", "SNIPS [95 %]", "weighs like"]
    text += ["", *grid(head, [_estimate(name, e) for name, e in one["estimates"].items()])]
    for name, e in one["estimates"].items():
        if e["reason"]:
            text.append(f"  {name}: {e['reason']}")
    n, tasks = one["decisions"], one["tasks"]
    text.append(f"  mean reward of a decision; n = {n} on {tasks} tasks, intervals over tasks")
    return text


def _estimate(name: str, e: Mapping[str, Any]) -> Sequence[str]:
    if e["reason"]:
        return [f"  {name}", "-", "-", "-"]
    both = [
        f"{_number(e[key])} [{_number(e[f'{key}_lo'])}, {_number(e[f'{key}_hi'])}]"
        for key in ("ips", "snips")
    ]
    return [f"  {name}", *both, f"{e['effective']:.1f} decisions"]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"
