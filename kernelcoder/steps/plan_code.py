# SPDX-License-Identifier: Apache-2.0
"""Plan, then code: plans in words with a predicted gain and difficulty; the best one is coded.

One list of plans is made per base: for a draft, or for a verified kernel that is to be improved.
Children ask for the list of their base under the same key, so it is the same list, asked once.
A plan is kept until ``patience`` tries from that base have failed; then the next best one follows:
a good idea is not given up for one bad implementation, nor a bad one kept for ever.

Source: the separate plan tree of K-Search (reference specification 1.9, M13); the order of plans
is our own: log(gain) * (1 - difficulty), what a plan promises times how likely it is to be right.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernelcoder.io import IO
from kernelcoder.prompts import fill, outcome, question
from kernelcoder.records import Attempt, Message
from kernelcoder.steps import Work
from kernelcoder.steps.words import answers
from kernelcoder.steps.words.digest import digest
from kernelcoder.steps.words.lineage import Base, base_of

calls = 2
_MOST, _LONGEST = 5, 600


@dataclass(frozen=True, slots=True)
class Options:
    """``plans``: how many are asked for; ``patience``: failed tries before the next one."""

    plans: int
    patience: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with its predicted gain (a factor) and difficulty (0 to 1)."""

    text: str
    gain: float
    difficulty: float

    @property
    def worth(self) -> float:
        """What it promises times how likely it is to be right; the higher, the sooner."""
        return math.log(self.gain) * (1.0 - self.difficulty)


def prepare(work: Work, io: IO, options: Options) -> Work:
    """The work with the plan to follow in its thoughts."""
    base = base_of(work)
    data = {
        "kind": "plans",
        "count": options.plans,
        "recipe": dict(work.recipe),
        "source": _source(base),
    }
    shared = f"plans {base.key}"
    messages = _question(work, base, options)
    plans, why = answers.asked(
        io, "plans", messages, read, data=data, shared=shared, max_tokens=work.max_tokens
    )
    if not plans:
        return dataclasses.replace(work, notes=(*work.notes, f"no plans: {why}; written without"))
    thought = chosen(plans, base.failures(work.parts.baseline), options.patience)
    parts = dataclasses.replace(work.parts, thoughts=(*work.parts.thoughts, thought))
    return dataclasses.replace(work, parts=parts)


def read(found: Mapping[str, Any]) -> tuple[Plan, ...]:
    """The plans of an answer, the most promising first. Raises ``answers.Unusable``."""
    plans = []
    for one in answers.several(found, "plans")[:_MOST]:
        if not isinstance(one, dict):
            raise answers.Unusable("a plan is no object")
        text = answers.words(one, "plan", _LONGEST)
        gain = answers.number(one, "gain", 0.01, 100.0)
        plans.append(Plan(text, gain, answers.number(one, "difficulty", 0.0, 1.0)))
    return tuple(sorted(plans, key=lambda plan: -plan.worth))


def chosen(plans: tuple[Plan, ...], failures: int, patience: int) -> str:
    """The thought: the plan whose turn it is after so many failed tries, round and round."""
    turn, tried = divmod(failures, patience)
    at = turn % len(plans)
    template = "plan_again" if tried else "plan_next" if turn else "plan"
    values: dict[str, object] = {"tried": f"{tried} time{'s' if tried > 1 else ''}"}
    values |= {"number": at + 1, "count": len(plans), "plan": plans[at].text}
    values |= {"gain": f"{plans[at].gain:.2g}", "difficulty": f"{plans[at].difficulty:.2g}"}
    return fill(f"steps/{template}", failures=patience, **values)


def _question(work: Work, base: Base, options: Options) -> tuple[Message, ...]:
    """The question for the plans of a base: equal for all of its children."""
    parents: tuple[tuple[Attempt, str], ...] = ()
    if base.kernel is not None:  # not its feedback, which a grandchild no longer has
        said = outcome(base.kernel, work.parts.baseline)
        parents = ((base.kernel, digest(base.kernel, said, work.parts.baseline)),)
    parts = dataclasses.replace(work.parts, parents=parents)
    aim = "a kernel for the task above" if base.kernel is None else "a faster version of the kernel"
    over = work.parts.baseline if base.kernel is None else "the kernel above"
    instruction = fill("steps/plans", count=options.plans, aim=aim, over=over)
    return question(parts, fill("steps/advisor"), instruction)


def _source(base: Base) -> str:
    return base.kernel.candidate.source if base.kernel and base.kernel.candidate else ""
