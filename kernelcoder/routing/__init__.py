# SPDX-License-Identifier: Apache-2.0
"""Routers: which model and which step recipe an attempt is written by. One router per file.

A router ``ROUTER_FOO`` is ``kernelcoder/routing/foo.py`` with

- ``Options``: a frozen dataclass without defaults, filled from the symbols ``<PREFIX>_*``;
- ``PREFIX``: the beginning of those symbols;
- ``carries: bool``: whether what it learns on one task is used on the next (tasks then run in
  order);
- ``looks: bool``: whether a choice depends on results (attempts then wait for them);
- ``begin(snapshot, options) -> snapshot``: what is known when a task begins; the snapshot before
  the first task is None;
- ``learn(snapshot, outcome, arms, options) -> snapshot``: one judged attempt, in ordinal order;
- ``choose(snapshot, situation, arms, options, rng) -> Pick``: the arm of the next attempt, with the
  probability every arm had, so that another router can be judged from this one's ledger;
- ``falls(options) -> bool`` (optional): whether the next arm answers for a model that is silent;
- ``mistakes(options) -> list[Problem]`` (optional): what is wrong with options that are strings.

All of them are pure; a snapshot is a JSON value. The engine folds exactly the attempts that a
proposal may see, so a choice never depends on workers or on latency.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernelcoder.errors import Error, Problem

MOST_ARMS = 12  # more arms than that are not told apart with the attempts of one experiment
TRANSPORT = "transport"  # the failure class of a model that did not answer at all


@dataclass(frozen=True, slots=True)
class Arm:
    """A member of MODEL and a step recipe, written ``model/recipe``."""

    model: str
    step: str

    @property
    def name(self) -> str:
        """``model/recipe``, as in ROUTER_ARMS, in the ledger and in reports."""
        return f"{self.model}/{self.step}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when an arm is chosen. ``features`` are those of :mod:`features`; ``attempts``
    of ``budget`` were asked before; ``pending`` are (arm, role) of attempts without a result yet.
    """

    role: str
    features: tuple[float, ...]
    attempts: int
    budget: int
    pending: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: the ``arm`` that answered, the arms that could not be reached
    before it, the reward of :mod:`rewards`. ``share`` is what it cost in parts of the planned cost
    of one attempt (cap / attempts); None where nothing is capped or the cost is unknown."""

    arm: str
    role: str
    features: tuple[float, ...]
    status: str
    reward: float
    share: float | None = None
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """The chosen arm, the probability each arm had, and one sentence of why."""

    arm: str
    propensities: Mapping[str, float]
    why: str

    def __post_init__(self) -> None:
        total = sum(self.propensities.values())
        if abs(total - 1.0) > 1e-6 or not self.propensities.get(self.arm, 0.0) > 0.0:
            raise ValueError(f"not the propensities of a choice of {self.arm}: {self.propensities}")


def sure(arm: str, arms: Sequence[str], why: str) -> Pick:
    """A pick that left nothing to chance."""
    return Pick(arm, {name: float(name == arm) for name in arms}, why)


def drawn(weights: Mapping[str, float], rng: random.Random, why: str) -> Pick:
    """A pick drawn with these probabilities."""
    names = list(weights)
    return Pick(rng.choices(names, [weights[name] for name in names])[0], weights, why)


def floored(chances: Mapping[str, float], floor: float) -> dict[str, float]:
    """Probabilities mixed with the uniform ones so that none is below ``floor``."""
    least = min(floor, 1.0 / len(chances))
    return {name: least + (1.0 - least * len(chances)) * p for name, p in chances.items()}


def arms_of(text: str, models: Sequence[str], steps: Sequence[str]) -> tuple[Arm, ...]:
    """The arms that ROUTER_ARMS lists, in its order. Every mistake at once, as one ``Error``."""
    found: list[Arm] = []
    problems = []
    for part in (part.strip() for part in text.split(",")):
        model, _, step = part.partition("/")
        for what, name, known in (("model", model, models), ("recipe", step, steps)):
            if name not in known:
                fix = f"one of {', '.join(known)}"
                problems.append(Problem("ROUTER_ARMS", f"{part!r}: no {what} {name!r}", fix))
        if any(arm.name == part for arm in found):
            problems.append(Problem("ROUTER_ARMS", f"{part!r} is listed twice"))
        found.append(Arm(model, step))
    if len(found) > MOST_ARMS:
        problems.append(Problem("ROUTER_ARMS", f"{len(found)} arms; {MOST_ARMS} are the most"))
    if problems:
        raise Error("the router has arms that cannot be", "ROUTER_ARMS", problems=problems)
    return tuple(found)
