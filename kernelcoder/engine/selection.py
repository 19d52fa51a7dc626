# SPDX-License-Identifier: Apache-2.0
"""Choosing a task's result: the fastest verified candidates are timed again, apart from the search.

A search timing is quick, and the best of many is lucky (the winner's curse). So up to three
finalists are timed again in fresh processes; one half of the blocks picks the winner, the other,
untouched half is what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.engine.asking import Setting
from kernelcoder.history import random_key
from kernelcoder.records import Attempt, to_json
from kernelcoder.task import Task
from kernelcoder.verify import Finalist

FINALISTS = 3


def finalists(attempts: Sequence[Attempt], baseline: str) -> list[Attempt]:
    """Up to three distinct verified attempts, fastest by search timing first; ties by ordinal."""
    right = [one for one in attempts if one.verdict.verified and one.duplicate_of is None]
    right.sort(key=lambda one: (-(one.speedup(baseline) or 0.0), one.ordinal))
    return right[:FINALISTS]


def select(setting: Setting, task: Task, attempts: Sequence[Attempt]) -> Mapping[str, Any]:
    """Data of the select event. ``chosen`` is None if nothing verified, or nothing held up."""
    best = finalists(attempts, setting.baseline)
    if not best:
        return {"finalists": [], "chosen": None, "how": "nothing verified"}
    if not setting.timing:
        first = min(best, key=lambda one: one.ordinal)
        return {
            "finalists": [_entry(one, None, "timing is off") for one in best],
            "chosen": first.ordinal,
            "how": "first verified, timing is off",
        }
    key = random_key(setting.holdout_key, task.id, "retime")
    candidates = [one.candidate for one in best if one.candidate is not None]
    timed = {one.sha: one for one in setting.verifier.retime(task, candidates, key)}
    found = [(one, timed.get(one.candidate.sha)) for one in best if one.candidate is not None]
    chosen, how = _choose(found, setting.baseline)
    entries = [_entry(one, result, "not timed again") for one, result in found]
    return {"finalists": entries, "chosen": chosen, "how": how}


def _choose(
    found: Sequence[tuple[Attempt, Finalist | None]], baseline: str
) -> tuple[int | None, str]:
    """The chosen ordinal and how. A lone finalist needs no half to be picked by."""
    held = [(one, result) for one, result in found if result is not None and result.report]
    if len(found) == 1 and held:
        return held[0][0].ordinal, "the only finalist, timed again"
    scores = {}
    for one, result in held:
        ratio = result.select.speedup.get(baseline) if result.select else None
        if ratio is not None:
            scores[one.ordinal] = ratio.median
    if not scores:
        return None, "no finalist held up when timed again"
    chosen = max(scores, key=lambda ordinal: (scores[ordinal], -ordinal))
    return chosen, "fastest in the selection half of the re-timing; the other half is reported"


def _entry(attempt: Attempt, found: Finalist | None, otherwise: str) -> dict[str, Any]:
    assert attempt.candidate is not None
    return {
        "ordinal": attempt.ordinal,
        "sha": attempt.candidate.sha,
        "select": to_json(found.select) if found else None,
        "report": to_json(found.report) if found else None,
        "reason": found.reason if found else otherwise,
    }
