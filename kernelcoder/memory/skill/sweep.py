# SPDX-License-Identifier: Apache-2.0
"""Parameters of a skill by successive halving, under a budget of measurements.

Every rung measures all that are left once more; the better half by the mean of all their
measurements goes on (Jamieson and Talwalkar 2016). What is wrong once is out.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Params = Mapping[str, Any]
Measure = Callable[[Params], "float | None"]


@dataclass(frozen=True, slots=True)
class Swept:
    """``best`` are the parameters that came through, with their mean score; None if none was
    right. ``measured`` counts measurements, ``rungs`` what was left after each."""

    best: Params | None
    score: float
    measured: int
    rungs: tuple[int, ...]


def points(
    parameters: Mapping[str, Any], defaults: Params, count: int, rng: random.Random
) -> list[dict[str, Any]]:
    """The defaults and up to ``count - 1`` other points of the closed slots, drawn without
    repetition. Open slots keep their default."""
    choices = {name: choices_of(one) for name, one in parameters["properties"].items()}
    swept = {name: values for name, values in choices.items() if len(values) > 1}
    total = 1
    for values in swept.values():
        total *= len(values)
    found = [dict(defaults)]
    if total <= 4 * count:
        grid = [dict(zip(swept, one, strict=True)) for one in itertools.product(*swept.values())]
        others = [{**defaults, **one} for one in grid]
        rng.shuffle(others)
    else:
        draws = range(20 * count)
        others = [{**defaults, **{n: rng.choice(v) for n, v in swept.items()}} for _ in draws]
    for one in others:
        if len(found) >= count:
            break
        if one not in found:
            found.append(one)
    return found


def choices_of(parameter: Mapping[str, Any]) -> Sequence[Any]:
    """The values a slot may take: its list, or a range of integers by doubling; () for free
    text."""
    if "enum" in parameter:
        return list(parameter["enum"])
    if parameter.get("type") == "boolean":
        return [False, True]
    if parameter.get("type") == "integer" and {"minimum", "maximum"} <= set(parameter):
        low, high = parameter["minimum"], parameter["maximum"]
        steps = [low]
        while steps[-1] < high:
            steps.append(min(high, max(steps[-1] + 1, 2 * steps[-1])))
        return steps
    return ()


def halving(candidates: Sequence[Params], measure: Measure, budget: int) -> Swept:
    """Measure, halve, measure again, until one is left or the budget is spent. ``measure`` gives a
    score (higher is better), None for a point that is wrong."""
    left: list[tuple[Params, list[float]]] = [(one, []) for one in candidates]
    measured = 0
    rungs: list[int] = []
    while left and measured + len(left) <= budget:
        for params, scores in left:
            measured += 1
            found = measure(params)
            if found is None:
                scores.clear()
            else:
                scores.append(found)
        right = [(params, scores) for params, scores in left if len(scores) == len(rungs) + 1]
        rungs.append(len(right))
        right.sort(key=lambda one: -sum(one[1]) / len(one[1]))
        left = right if len(right) <= 1 else right[: (len(right) + 1) // 2]
        if len(left) <= 1:
            break
    scored = [(params, scores) for params, scores in left if scores]
    if not scored:
        return Swept(None, 0.0, measured, tuple(rungs))
    params, scores = max(scored, key=lambda one: sum(one[1]) / len(one[1]))
    return Swept(params, sum(scores) / len(scores), measured, tuple(rungs))
