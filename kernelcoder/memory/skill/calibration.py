# SPDX-License-Identifier: Apache-2.0
"""How often a score was right: logistic calibration, fitted on recorded outcomes, held to others.

The map is Platt's: P(right) = 1 / (1 + exp(-(a s + b))), fitted by Newton's method on smoothed
targets (Platt 1999; the smoothing keeps a separable sample finite). Brier score and expected
calibration error (ten bins of equal width) are of outcomes the fit has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 40
EVERY_HELD_OUT = 3  # every third outcome is held out: the order of the stream, no chance in it
BINS = 10
_STEPS = 50

Outcome = tuple[float, int]


class TooFew(ValueError):
    """Not enough outcomes, or all of one kind, to say anything."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted map, and how good it is on ``held_out`` outcomes. ``constant`` is the Brier score
    of always saying the share of right ones in the fitted part: a map that is no better is of no
    use."""

    slope: float
    offset: float
    fitted: int
    held_out: int
    brier: float
    ece: float
    constant: float

    def probability(self, score: float) -> float:
        """P(right) at a score."""
        return sigmoid(self.slope * score + self.offset)


def sigmoid(x: float) -> float:
    """The logistic function, without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    power = math.exp(x)
    return power / (1.0 + power)


def fit(outcomes: Sequence[Outcome], least: int = LEAST) -> Calibration:
    """The map of two thirds of the outcomes, judged on the rest. Raises :class:`TooFew`."""
    if len(outcomes) < least:
        raise TooFew(f"{len(outcomes)} outcomes, {least} are needed")
    held = [one for at, one in enumerate(outcomes) if at % EVERY_HELD_OUT == EVERY_HELD_OUT - 1]
    kept = [one for at, one in enumerate(outcomes) if at % EVERY_HELD_OUT != EVERY_HELD_OUT - 1]
    if len({right for _, right in kept}) < 2:
        raise TooFew("all outcomes fitted are of one kind")
    slope, offset = platt(kept)
    share = sum(right for _, right in kept) / len(kept)
    said = [(sigmoid(slope * score + offset), right) for score, right in held]
    return Calibration(
        slope=slope,
        offset=offset,
        fitted=len(kept),
        held_out=len(held),
        brier=brier(said),
        ece=ece(said),
        constant=brier([(share, right) for _, right in held]),
    )


def platt(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Slope and offset that maximize the likelihood of the smoothed targets."""
    positive = sum(right for _, right in outcomes)
    negative = len(outcomes) - positive
    high, low = (positive + 1) / (positive + 2), 1 / (negative + 2)
    rows = [(score, high if right else low) for score, right in outcomes]
    slope, offset = 0.0, math.log((positive + 1) / (negative + 1))
    for _ in range(_STEPS):
        g1 = g0 = 0.0
        h11 = h00 = 1e-9
        h10 = 0.0
        for score, target in rows:
            p = sigmoid(slope * score + offset)
            error, weight = p - target, p * (1 - p)
            g1, g0 = g1 + error * score, g0 + error
            h11, h10, h00 = h11 + weight * score * score, h10 + weight * score, h00 + weight
        determinant = h11 * h00 - h10 * h10
        if determinant <= 1e-15:
            break
        step1 = (h00 * g1 - h10 * g0) / determinant
        step0 = (h11 * g0 - h10 * g1) / determinant
        scale = min(1.0, 10.0 / max(1e-9, abs(step1), abs(step0)))
        slope, offset = slope - scale * step1, offset - scale * step0
        if abs(step1) + abs(step0) < 1e-10:
            break
    return slope, offset


def brier(said: Sequence[Outcome]) -> float:
    """Mean squared distance of probability and outcome; 0 is best."""
    return sum((p - right) ** 2 for p, right in said) / len(said)


def ece(said: Sequence[Outcome]) -> float:
    """Expected calibration error: mean over bins of |mean probability - share right|, weighted by
    how many outcomes a bin has."""
    bins: dict[int, list[Outcome]] = {}
    for p, right in said:
        bins.setdefault(min(BINS - 1, int(p * BINS)), []).append((p, right))
    gaps = [abs(sum(p for p, _ in one) - sum(right for _, right in one)) for one in bins.values()]
    return sum(gaps) / len(said)
