# SPDX-License-Identifier: Apache-2.0
"""Postconditions are executed: on the verifier's verdict, its timing, and the kernel's text.

Three answers. Where the judge was not there (``infra_error``, no verdict, nothing timed) the answer
is ``unknown``, and unknown is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kernelcoder.memory.skill import features
from kernelcoder.memory.skill.predicates import Predicate, holds
from kernelcoder.memory.skill.schema import Check, Skill
from kernelcoder.records import Verdict

Outcome = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of all checks; ``reasons`` has a sentence for each that did not pass."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


def check(skill: Skill, source: str, verdict: Verdict | None, baseline: str) -> Result:
    """All postconditions of a skill on one instantiation. Fails if any fails; passes if all do."""
    found = [(one, *_one(one, source, verdict, baseline)) for one in skill.postconditions]
    reasons = tuple(why for _, outcome, why in found if outcome != "pass")
    outcomes = {outcome for _, outcome, _ in found}
    if "fail" in outcomes:
        return Result("fail", reasons)
    # Without a check of the verdict nothing was shown, whatever else holds.
    if "unknown" in outcomes or not any(one.check == "verdict" for one, _, _ in found):
        return Result("unknown", reasons or ("no check of the verdict",))
    return Result("pass")


def _one(check: Check, source: str, verdict: Verdict | None, baseline: str) -> tuple[Outcome, str]:
    if check.check == "source":
        predicate = Predicate(check.field, check.op, check.value)
        good = holds(predicate, features.of_kernel(source))
        return ("pass", "") if good else ("fail", f"does not hold: {predicate}")
    if verdict is None or verdict.status == "infra_error":
        return "unknown", "the verifier gave no verdict"
    if check.check == "verdict":
        good = verdict.status == check.value
        return ("pass", "") if good else ("fail", f"{verdict.status}: {verdict.reason}")
    if not verdict.verified:
        return "fail", f"no speedup: {verdict.status}"
    ratio = verdict.timing.speedup.get(baseline) if verdict.timing else None
    if ratio is None:
        return "unknown", f"not timed against {baseline}"
    good = ratio.lo >= float(check.value)
    return ("pass", "") if good else ("fail", f"{ratio.lo:.2f}x is below {check.value}x")
