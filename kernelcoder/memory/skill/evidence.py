# SPDX-License-Identifier: Apache-2.0
"""Trials make a status, and nothing else does.

A trial counts once per task and source: repeating it, or listing it again, adds nothing. A trial
of another verifier, and one the judge could not judge, do not count. Limits are Wilson's score
interval at 95 % (Wilson 1927).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernelcoder.memory.skill import postconditions
from kernelcoder.memory.skill.schema import Change, Skill, Status, Test, Trial
from kernelcoder.records import Verdict, sha256

Z = 1.959964
TRUSTED_LIMIT, TRUSTED_TRIALS, TRUSTED_TASKS = 0.6, 8, 3
DEPRECATED_LIMIT = 0.4
TESTS_KEPT = 4
ELSEWHERE = frozenset({"other", "shapes", "probe"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What the trials of one verifier say: ``right`` of ``n``, over so many tasks. ``lower`` is
    the lower end of the interval of the success rate, 0 without trials."""

    right: int
    n: int
    tasks: int
    lower: float


def wilson(right: int, n: int, z: float = Z) -> float:
    """Lower end of Wilson's interval of a share; 0 for n = 0."""
    if n == 0:
        return 0.0
    share, square = right / n, z * z
    middle = share + square / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + square / n))


def trial(
    skill: Skill,
    task: str,
    source: str,
    params: Mapping[str, Any],
    verdict: Verdict,
    kind: str,
    baseline: str,
    where: str = "",
    verifier: str = "",
) -> Trial:
    """What a verdict on an instantiation is evidence of. ``verifier`` is the version of one that
    does not say it in its verdicts."""
    ratio = verdict.timing.speedup.get(baseline) if verdict.timing else None
    return Trial(
        task=task,
        sha=sha256(source),
        params=dict(params),
        status=verdict.status,
        outcome=postconditions.check(skill, source, verdict, baseline).outcome,
        verifier=str(verdict.versions.get("verifier", verifier)),
        kind=kind,
        where=where,
        speedup=(ratio.lo, ratio.median, ratio.hi) if ratio else None,
    )


def counted(skill: Skill, verifier: str) -> list[Trial]:
    """Trials that count: of this verifier, judged, one per task and source (the worst of them, so
    that running again until it is right does not help)."""
    kept: dict[tuple[str, str, bool], Trial] = {}
    for one in skill.evidence:
        if one.verifier != verifier or one.outcome == "unknown" or one.kind == "claimed":
            continue
        key = (one.task, one.sha, one.kind == "shapes")
        if key not in kept or kept[key].right:
            kept[key] = one
    return list(kept.values())


def standing(skill: Skill, verifier: str) -> Standing:
    """The figures of a skill under one verifier."""
    found = counted(skill, verifier)
    right = sum(one.right for one in found)
    tasks = len({one.task for one in found})
    return Standing(right, len(found), tasks, wilson(right, len(found)))


def added(skill: Skill, *trials: Trial) -> Skill:
    """The skill with further evidence, and tests out of what was right: one a task, a few."""
    tests = list(skill.tests)
    for one in trials:
        known = {test.task for test in tests}
        if one.right and one.task not in known and len(tests) < TESTS_KEPT:
            tests.append(Test(one.task, dict(one.params)))
    return replace(skill, evidence=(*skill.evidence, *trials), tests=tuple(tests))


def admitted(skill: Skill, verifier: str) -> bool:
    """Whether it was right on its own task and on a task or shapes that it had never seen; of one
    that came from elsewhere, and whose own task is not at hand, on two such tasks."""
    right = [one for one in counted(skill, verifier) if one.right]
    home = any(one.task == skill.source and one.kind != "shapes" for one in right)
    away = {one.task for one in right if one.task != skill.source and one.kind in ELSEWHERE}
    shapes = any(one.kind == "shapes" for one in right)
    return len(away) > 1 or (home and (bool(away) or shapes))


def hopeless(figures: Standing) -> bool:
    """Whether the lower limit is below 0.4 and would be, at the 8 trials that trust takes, even if
    all that are missing came out right."""
    n = max(figures.n, TRUSTED_TRIALS)
    wrong = figures.n - figures.right
    return wilson(n - wrong, n) < DEPRECATED_LIMIT


def trustworthy(figures: Standing) -> bool:
    """At least 8 trials over 3 tasks with a lower limit of 0.6."""
    enough = figures.n >= TRUSTED_TRIALS and figures.tasks >= TRUSTED_TASKS
    return enough and figures.lower >= TRUSTED_LIMIT


def moved(skill: Skill, after: Status, why: str, verifier: str) -> Skill:
    """The skill with another status and a line of history; unchanged if it has it already."""
    if skill.status == after:
        return skill
    change = Change(skill.status, after, why, standing(skill, verifier).n)
    return replace(skill, status=after, history=(*skill.history, change))


def judged(skill: Skill, verifier: str, gate: Sequence[str] | None = None) -> Skill:
    """The status that the evidence gives. ``gate`` are the failures of the skill's own tests, run
    just now; None says they were not run, and then nothing is promoted to trusted.

    Deprecated is final: a better template is a new version."""
    figures = standing(skill, verifier)
    said = f"{figures.right} of {figures.n} right, lower limit {figures.lower:.2f}"
    if skill.status == "deprecated":
        return skill
    if hopeless(figures):
        return moved(skill, "deprecated", said, verifier)
    if not admitted(skill, verifier):
        why = "not shown to be right by this verifier on its task and on another"
        return moved(skill, "draft", why, verifier)
    if trustworthy(figures):
        if skill.status == "trusted":
            return (
                skill if not gate else moved(skill, "verified", f"test failed: {gate[0]}", verifier)
            )
        if gate is not None and not gate:
            return moved(skill, "trusted", said, verifier)
    return moved(
        skill, "verified", f"admitted: {said}" if skill.status == "draft" else said, verifier
    )
