# SPDX-License-Identifier: Apache-2.0
"""Cascade: the first arm of the list until it fails, then the next. List the cheapest arm first.

On every task the cascade begins at the first arm. It goes one arm further

- after ``AFTER`` failures in a row, of the classes named in ``ON`` (``any``: every status but
  verified; ``transport``: the model did not answer at all, which moves on at once);
- when ``BUDGET_PERCENT`` of the task's attempts are used and nothing is verified yet, and again
  after each further such part (0: never).

A verified kernel ends a row of failures and the cascade stays where it is. Past the last arm there
is nowhere to go. Source: cheapest-first cascades of language models (Chen, Zaharia and Zou 2023),
with the verifier in the place of their learned score.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.errors import Problem
from kernelcoder.records import STATUSES
from kernelcoder.routing import TRANSPORT, Outcome, Pick, Situation, sure

PREFIX = "ROUTER_ESCALATE"
carries = False
looks = True
CLASSES = ("any", TRANSPORT, *(one for one in STATUSES if one not in ("verified", "infra_error")))
_START: Mapping[str, Any] = {"level": 0, "row": 0, "right": False, "why": ""}


@dataclass(frozen=True, slots=True)
class Options:
    """``after`` failures of a class in ``on`` (a comma list); ``budget_percent``, 0 is never."""

    after: int
    on: str
    budget_percent: int


def mistakes(options: Options) -> list[Problem]:
    """Failure classes that do not exist, or that none is named."""
    fix = f"a comma list of {', '.join(CLASSES)}"
    named = _named(options)
    unknown = [name for name in named if name not in CLASSES]
    found = [Problem("ROUTER_ESCALATE_ON", f"no failure class {one!r}", fix) for one in unknown]
    return found if named else [Problem("ROUTER_ESCALATE_ON", "names no failure class", fix)]


def classes(options: Options) -> frozenset[str]:
    """The failure classes that escalate."""
    named = _named(options)
    every = {one for one in CLASSES if one not in ("any", TRANSPORT)}
    return frozenset({*named} | (every if "any" in named else set()))


def falls(options: Options) -> bool:
    """Whether a silent model escalates."""
    return TRANSPORT in classes(options)


def _named(options: Options) -> list[str]:
    return [part.strip() for part in options.on.split(",") if part.strip()]


def begin(snapshot: object, options: Options) -> object:
    """Every task begins at the first arm."""
    return dict(_START)


def learn(snapshot: Any, outcome: Outcome, arms: Sequence[str], options: Options) -> object:
    """Count the failures of the arm in use. What other arms did (an attempt asked before an
    escalation and judged after it) is no failure of this one."""
    state = {**(snapshot or _START)}
    wanted = classes(options)
    if TRANSPORT in wanted and arms[state["level"]] in outcome.unreachable:
        return _further(state, arms, f"{arms[state['level']]} did not answer")
    if outcome.status == "verified":
        return {**state, "right": True, "row": 0}
    if outcome.arm != arms[state["level"]] or outcome.status not in wanted:
        return state
    state["row"] += 1
    if state["row"] >= options.after:
        said = outcome.status.replace("_", " ")
        return _further(state, arms, f"{state['row']} failures in a row, the last {said}")
    return state


def choose(
    snapshot: Any,
    situation: Situation,
    arms: Sequence[str],
    options: Options,
    rng: random.Random,
) -> Pick:
    """The arm of the level the failures led to, or of the share of the budget that is used."""
    state = {**(snapshot or _START)}
    part = situation.budget * options.budget_percent / 100
    spent = int(situation.attempts / part) if part and not state["right"] else 0
    level = min(max(state["level"], spent), len(arms) - 1)
    why = state["why"] or "the first arm"
    if level > state["level"]:
        why = f"{situation.attempts} of {situation.budget} attempts used, nothing verified"
    return sure(arms[level], arms, why)


def _further(state: Mapping[str, Any], arms: Sequence[str], why: str) -> dict[str, Any]:
    level = min(state["level"] + 1, len(arms) - 1)
    return {**state, "level": level, "row": 0, "why": why}
