# SPDX-License-Identifier: Apache-2.0
"""LinTS: linear Thompson sampling. Each arm's reward is a linear function of the features, with an
uncertainty that shrinks where the arm was tried and grows back as old evidence is forgotten; an arm
is taken as often as it may be the best one.

Source: Agrawal and Goyal 2013 (Thompson sampling for contextual bandits with linear payoffs, with
ridge 1 and v = SPREAD_PERCENT / 100), discounted as by Russac, Vernade and Cappé 2019 (DISCOUNT
for every attempt, whichever arm made it). Because the guesses for one situation are independent
normals, the probability of every arm is computed, not estimated: what the ledger says of the
propensities is exact, and no arm's is below FLOOR.

Cost. Where tokens or money are capped, each arm also has a mean cost, in parts of what the cap
plans for an attempt, and what is sampled is reward - price * cost. The price is a dual variable:
raised by 0.1 times the excess when an attempt costs more than planned, lowered when it costs less,
kept in [0, 3]. Without a cap it stays 0. At first every arm is tried PULLS times in each role.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.routing import Outcome, Pick, Situation, drawn, floored, sure
from kernelcoder.routing.features import role_of
from kernelcoder.routing.linear import chances, dot, forgotten, identity, observed, solve

PREFIX = "ROUTER_LINTS"
carries = True
looks = True
RIDGE, STEP, DEAREST = 1.0, 0.1, 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """``spread_percent``: v; ``discount_percent``: what is kept of old evidence an attempt;
    ``floor_percent``: the least probability of an arm; ``pulls`` an arm and role at first."""

    spread_percent: int
    discount_percent: int
    floor_percent: int
    pulls: int


def begin(snapshot: Any, options: Options) -> object:
    """What earlier tasks taught; the price belongs to the budget of a task and starts at 0."""
    return {"arms": {}, **(snapshot or {}), "price": 0.0}


def learn(snapshot: Any, outcome: Outcome, arms: Sequence[str], options: Options) -> object:
    """All arms forget a little; the one that answered learns."""
    keep = options.discount_percent / 100
    state = {**snapshot, "arms": {name: _faded(arm, keep) for name, arm in _arms(snapshot)}}
    if outcome.status == "infra_error":
        return snapshot
    arm = state["arms"].get(outcome.arm) or _fresh(len(outcome.features))
    role, x = role_of(outcome.role), outcome.features
    arm["a"] = observed(arm["a"], x)
    arm["b"] = [b + outcome.reward * value for b, value in zip(arm["b"], x, strict=True)]
    arm["pulls"] = {**arm["pulls"], role: arm["pulls"].get(role, 0) + 1}
    if outcome.share is not None:
        arm["cost"] = [arm["cost"][0] + outcome.share, arm["cost"][1] + 1.0]
        price = state["price"] + STEP * (outcome.share - 1.0)
        state["price"] = min(DEAREST, max(0.0, price))
    state["arms"][outcome.arm] = arm
    return state


def choose(
    snapshot: Any,
    situation: Situation,
    arms: Sequence[str],
    options: Options,
    rng: random.Random,
) -> Pick:
    """An arm drawn with the probability that it is the best, floored; at first the one that was
    tried least in this role (the first listed of equals)."""
    floor = options.floor_percent / 100
    tried = pulls(snapshot, situation, arms)
    least = min(arms, key=lambda name: tried[name])
    if tried[least] < options.pulls:
        forced = floored(sure(least, arms, "").propensities, floor)
        return drawn(forced, rng, f"{least} was tried {tried[least]} times in this role")
    found = guesses(snapshot, situation, arms, options)
    best = max(arms, key=lambda name: found[name][0])
    why = f"{best} looks best: {found[best][0]:+.3f} at a price of {snapshot['price']:.2f}"
    return drawn(floored(chances(found), floor), rng, why)


def pulls(snapshot: Any, situation: Situation, arms: Sequence[str]) -> Counter[str]:
    """How often each arm was tried in the role of this attempt, those under way included."""
    role = role_of(situation.role)
    tried = Counter({name: arm["pulls"].get(role, 0) for name, arm in _arms(snapshot)})
    tried.update(arm for arm, other in situation.pending if role_of(other) == role)
    return Counter({name: tried[name] for name in arms})


def guesses(
    snapshot: Any, situation: Situation, arms: Sequence[str], options: Options
) -> dict[str, tuple[float, float]]:
    """Arm -> mean and deviation of its reward less the price of its cost, in this situation. An
    arm of unknown cost is taken to cost what the cap plans for an attempt."""
    x, spread = situation.features, max(1, options.spread_percent) / 100
    state = dict(_arms(snapshot))
    found = {}
    for name in arms:
        arm = state.get(name) or _fresh(len(x))
        direction = solve(arm["a"], x)
        total, weight = arm["cost"]
        cost = total / weight if weight > 0 else 1.0
        mean = dot(direction, arm["b"]) - snapshot["price"] * cost
        found[name] = (mean, spread * math.sqrt(dot(direction, x)))
    return found


def _arms(snapshot: Any) -> list[tuple[str, dict[str, Any]]]:
    return list(snapshot["arms"].items())


def _fresh(size: int) -> dict[str, Any]:
    return {"a": identity(size, RIDGE), "b": [0.0] * size, "cost": [0.0, 0.0], "pulls": {}}


def _faded(arm: Mapping[str, Any], keep: float) -> dict[str, Any]:
    return {
        **arm,
        "a": forgotten(arm["a"], keep, RIDGE),
        "b": [keep * value for value in arm["b"]],
        "cost": [keep * value for value in arm["cost"]],
    }
