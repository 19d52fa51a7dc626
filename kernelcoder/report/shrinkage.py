# SPDX-License-Identifier: Apache-2.0
"""The winner's curse, shown: how much of a search speedup is left when it is measured again.

The best of many noisy search timings is lucky. Two ratios per task say by how much: *final /
search*, the re-timed speedup over the one the search saw; and *held-out / final*, the speedup on
shapes nobody had seen over the re-timed one. Below one, something was lost. Neither changes a
result; tasks without the timings in question are left out, and n says how many are in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.records import Timing
from kernelcoder.report import stats

Row = dict[str, Any]
NAMES = ("shrink_final", "shrink_heldout")
WORDS = {"shrink_final": "final / search", "shrink_heldout": "held-out / final"}
NOTE = (
    "The best of many quick search timings is lucky. final / search: the speedup when timed again "
    "in fresh processes over the one the search saw. held-out / final: on shapes nobody had seen "
    "over the timed ones. Below 1, something was lost; geometric means over the tasks that have "
    "both."
)


def heldout(timing: Timing | None, baseline: str) -> float | None:
    """Geometric mean over the held-out cases of the median speedup; None unless all have it."""
    cases = [case for case in timing.cases if case.heldout] if timing is not None else []
    if not cases or not all(baseline in case.speedup for case in cases):
        return None
    return stats.geomean([case.speedup[baseline].median for case in cases])


def task_fields(search: float | None, final: Timing | None, baseline: str) -> Row:
    """``heldout`` (a speedup) and the two shrinkages of one task; None where unknown."""
    ratio = final.speedup.get(baseline) if final is not None else None
    unseen = heldout(final, baseline)
    if ratio is None:
        return {"heldout": unseen, "shrink_final": None, "shrink_heldout": None}
    return {
        "heldout": unseen,
        "shrink_final": ratio.median / search if search else None,
        "shrink_heldout": unseen / ratio.median if unseen is not None else None,
    }


def cell_fields(tasks: Sequence[Row]) -> Row:
    """Geometric mean, bootstrap interval and n of each shrinkage over a cell's tasks."""
    fields: Row = {}
    for name in NAMES:
        known = [task[name] for task in tasks if task[name] is not None]
        interval = stats.geomean_interval(known) if known else None
        fields[name] = stats.geomean(known)
        fields[f"{name}_lo"] = interval[0] if interval else None
        fields[f"{name}_hi"] = interval[1] if interval else None
        fields[f"{name}_n"] = len(known)
    return fields


def known(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any cell has something to show."""
    return any(row[f"{name}_n"] for row in rows for name in NAMES)


def cell_texts(row: Mapping[str, Any]) -> list[str]:
    """Each shrinkage as ``0.97 [0.95, 0.99] n=12``; "-" where no task has it."""
    texts = []
    for name in NAMES:
        mean, lo, hi = row[name], row[f"{name}_lo"], row[f"{name}_hi"]
        if mean is None:
            texts.append("-")
            continue
        span = f" [{lo:.2f}, {hi:.2f}]" if lo is not None else ""
        texts.append(f"{mean:.3f}{span} n={row[f'{name}_n']}")
    return texts
