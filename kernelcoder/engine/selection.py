# SPDX-License-Identifier: Apache-2.0
"""Choosing a task's result: the fastest verified candidates are timed again, apart from the search.

A search timing is quick, and the best of many is lucky (the winner's curse). So a few finalists
(VERIFY_FINALISTS) are timed again in fresh processes; one half of the blocks picks the winner, the
other, untouched half is what is reported. The rule of the pick is in :mod:`kernelcoder.choosing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.choosing import choose
from kernelcoder.engine.asking import Setting
from kernelcoder.history import random_key
from kernelcoder.records import Attempt, to_json
from kernelcoder.task import Task
from kernelcoder.verify import Finalist


def finalists(attempts: Sequence[Attempt], baseline: str, most: int = 3) -> list[Attempt]:
    """Up to ``most`` distinct verified attempts, fastest by search timing first. Where the baseline
    was not timed, fewer CPU seconds come first; ties by ordinal."""
    right = [one for one in attempts if one.verdict.verified and one.duplicate_of is None]

    def rank(one: Attempt) -> tuple[float, float, int]:
        timing = one.verdict.timing
        return -(one.speedup(baseline) or 0.0), timing.seconds if timing else 0.0, one.ordinal

    return sorted(right, key=rank)[:most]


def select(setting: Setting, task: Task, attempts: Sequence[Attempt]) -> Mapping[str, Any]:
    """Data of the select event. ``chosen`` is None if nothing verified, or nothing held up."""
    found = finalists(attempts, setting.baseline, setting.finalists)
    best = [one for one in found if one.candidate is not None]
    timed: dict[str, Finalist] = {}
    if best and setting.timing:
        key = random_key(setting.holdout_key, task.id, "retime")
        candidates = [one.candidate for one in best if one.candidate is not None]
        timed = {one.sha: one for one in setting.verifier.retime(task, candidates, key)}
    otherwise = "not timed again" if setting.timing else "timing is off"
    entries = [_entry(one, timed, otherwise) for one in best]
    chosen, how = choose(entries, setting.baseline, setting.timing)
    return {"finalists": entries, "chosen": chosen, "how": how}


def _entry(attempt: Attempt, timed: Mapping[str, Finalist], otherwise: str) -> dict[str, Any]:
    assert attempt.candidate is not None
    found = timed.get(attempt.candidate.sha)
    return {
        "ordinal": attempt.ordinal,
        "sha": attempt.candidate.sha,
        "select": to_json(found.select) if found else None,
        "report": to_json(found.report) if found else None,
        "reason": found.reason if found else otherwise,
    }
