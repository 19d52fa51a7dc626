# SPDX-License-Identifier: Apache-2.0
"""The model's state as plain data, and the one function that changes it: fold another label in.

A state holds the latest steps with their labels, the weights, and how good the guesses were. Per
label the order is guess, score, keep, and at every ``REFIT``-th label fit anew. Labels are made in
:func:`label` from two verdicts; nothing else of this package writes one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.prm.features import features
from kernelcoder.methods.prm.fit import Row, Weights, dot, fit, sigmoid
from kernelcoder.methods.prm.scoring import Scores, area, rank_correlation
from kernelcoder.methods.trees.tree import Node, next_role
from kernelcoder.records import BASELINES, Attempt

REFIT = 32  # labels between two fits, and before the first: until then it abstains
KEPT = 256  # latest steps that a fit sees
CAP = 2.0  # log speedups beyond are an outlier, e^2 = 7.4 times
VERSION = 1


@dataclass(frozen=True, slots=True)
class Label:
    """What came of a step, of two verdicts alone: ``correct``, ``gained`` (right at last after a
    repair; faster than the parent beyond the noise after a refinement), and ``gain`` (0 or 1 after
    a repair; log speedup over the parent in [0, CAP] after a refinement)."""

    correct: int
    gained: int
    gain: float


@dataclass(frozen=True, slots=True)
class Step:
    """One learnt step: its features, its label, and the guesses (P correct, P gained, gain) made
    before the label was known, empty if the model abstained."""

    row: Row
    label: Label
    said: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Everything the model is. ``labels`` counts all it ever saw, ``sums`` adds them up (correct,
    gained), ``steps`` are the latest ``KEPT``, ``weights`` of its three heads are empty before the
    first fit; ``correct`` and ``gained`` score the guesses."""

    labels: int = 0
    sums: tuple[int, int] = (0, 0)
    steps: tuple[Step, ...] = ()
    weights: tuple[Weights, ...] = ()
    correct: Scores = field(default_factory=Scores)
    gained: Scores = field(default_factory=Scores)

    @property
    def weight(self) -> float:
        """The say of the model in the search, in [0, 1]; 0 while it abstains or is no better than
        a constant in guessing gains."""
        return self.gained.weight(self.labels) if self.weights else 0.0


def label(parent: Attempt, child: Attempt, noise: float) -> Label:
    """The label of the step from parent to child. ``noise`` is the relative gain that counts as
    none. Speeds are compared over the first baseline that both were timed against."""
    if not child.verdict.verified or child.duplicate_of is not None:
        return Label(int(child.verdict.verified), 0, 0.0)
    if not parent.verdict.verified:
        return Label(1, 1, 1.0)
    for baseline in BASELINES:
        old, new = parent.speedup(baseline), child.speedup(baseline)
        if old and new:
            gain = math.log(new / old)
            return Label(1, int(gain > math.log1p(noise)), min(CAP, max(0.0, gain)))
    return Label(1, 0, 0.0)


def row_of(node: Node) -> Row:
    """The features of working on a node that has an attempt."""
    if node.attempt is None:
        raise ValueError("the root and pending proposals have no kernel to work on")
    before = node.parent.attempt if node.parent else None
    value = past((node.attempt,)).shaped(node.attempt)  # by no cell's baseline: tasks are mixed
    return features(node.attempt, next_role(node.attempt), node.depth, value, before)


def learn(state: State, root: Node, noise: float) -> State:
    """The state with every known step of a tree folded in, in the order of the attempts. Drafts
    have no parent and teach nothing."""
    known = sorted((node for node in root.walk() if node.attempt), key=lambda node: node.ordinal)
    for node in known:
        parent = node.parent
        if parent is None or parent.attempt is None or node.attempt is None:
            continue
        state = _fold(state, row_of(parent), label(parent.attempt, node.attempt, noise))
    return state


def _fold(state: State, row: Row, truth: Label) -> State:
    """Guess, score, keep, and fit when it is time."""
    said = guess(state, row)
    correct, gained = state.correct, state.gained
    if said:
        rivals = [(total + 0.5) / (state.labels + 1) for total in state.sums]
        correct = correct.add(said[0], rivals[0], truth.correct)
        gained = gained.add(said[1], rivals[1], truth.gained)
    state = replace(
        state,
        labels=state.labels + 1,
        sums=(state.sums[0] + truth.correct, state.sums[1] + truth.gained),
        steps=(*state.steps, Step(row, truth, said))[-KEPT:],
        correct=correct,
        gained=gained,
    )
    return _refitted(state) if state.labels % REFIT == 0 else state


def _refitted(state: State) -> State:
    labels = [step.label for step in state.steps]
    heads = fit(
        tuple(step.row for step in state.steps),
        tuple(one.correct for one in labels),
        tuple(one.gained for one in labels),
        tuple(one.gain for one in labels),
    )
    return replace(state, weights=heads)


def guess(state: State, row: Row) -> tuple[float, ...]:
    """(P correct, P gained, expected gain) of a step; () before the first fit."""
    if not state.weights:
        return ()
    first, second, third = (dot(weights, row) for weights in state.weights)
    said = (sigmoid(first), sigmoid(second), min(CAP, max(0.0, third)))
    return tuple(round(one, 4) for one in said)


def report(state: State) -> dict[str, Any]:
    """The evaluation in numbers: per probability the Brier scores of the model and of the constant,
    the calibration (mean guess, share that came true, n; by tenths), the area under the ROC curve
    of the kept steps; the rank correlation of expected and real gain; the weight."""
    told = [step for step in state.steps if step.said]
    found: dict[str, Any] = {"labels": state.labels, "weight": state.weight}
    for place, name in enumerate(("correct", "gained")):
        scores: Scores = getattr(state, name)
        truths = [getattr(step.label, name) for step in told]
        found[name] = {
            "scored": scores.n,
            "brier": scores.brier / scores.n if scores.n else None,
            "brier_constant": scores.constant / scores.n if scores.n else None,
            "area": area([step.said[place] for step in told], truths),
            "calibration": [
                (total / count, right / count, count)
                for count, total, right in scores.bins
                if count
            ],
        }
    found["rank_correlation"] = rank_correlation(
        [step.said[2] for step in told], [step.label.gain for step in told]
    )
    return found


def to_data(state: State) -> dict[str, Any]:
    """The state as JSON data, short: rows are lists of whole numbers."""
    return {
        "version": VERSION,
        "labels": state.labels,
        "sums": list(state.sums),
        "steps": [
            [list(s.row), s.label.correct, s.label.gained, s.label.gain, list(s.said)]
            for s in state.steps
        ],
        "weights": [list(head) for head in state.weights],
        "scores": [_scores_to(one) for one in (state.correct, state.gained)],
    }


def from_data(data: Mapping[str, Any] | None) -> State:
    """The state that :func:`to_data` wrote; a new one of None or of another version's data."""
    if not data or data.get("version") != VERSION:
        return State()
    steps = tuple(
        Step(tuple(row), Label(correct, gained, gain), tuple(said))
        for row, correct, gained, gain, said in data["steps"]
    )
    weights = tuple(tuple(head) for head in data["weights"])
    correct, gained = (_scores_from(one) for one in data["scores"])
    sums = (data["sums"][0], data["sums"][1])
    return State(data["labels"], sums, steps, weights, correct, gained)


def _scores_to(scores: Scores) -> list[Any]:
    bins = [list(one) for one in scores.bins]
    return [scores.n, scores.brier, scores.constant, scores.squares, bins]


def _scores_from(data: Sequence[Any]) -> Scores:
    n, brier, constant, squares, bins = data
    return Scores(n, brier, constant, squares, tuple((one[0], one[1], one[2]) for one in bins))


def past(attempts: Sequence[Attempt]) -> History:
    """A finished task as a history: everything visible, nothing pending, its noise the usual one.
    Values are by the first baseline that any attempt was timed against."""
    timed = {name for one in attempts if one.verdict.timing for name in one.verdict.timing.speedup}
    baseline = next((name for name in BASELINES if name in timed), BASELINES[0])
    return History("", len(attempts), tuple(attempts), (), len(attempts), 1, baseline)
