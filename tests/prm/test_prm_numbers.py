# SPDX-License-Identifier: Apache-2.0
"""The arithmetic behind the reward model, against other ways to get the same numbers."""

from __future__ import annotations

import math
import random

import pytest

from kernelcoder.methods.prm import fit
from kernelcoder.methods.prm.scoring import FULL, LEAST, Scores, area, rank_correlation


def rows(count: int, seed: int) -> tuple[fit.Row, ...]:
    rng = random.Random(seed)
    return tuple((100, *(rng.randrange(-100, 101) for _ in range(5)), 40) for _ in range(count))


def standard(data: tuple[fit.Row, ...]) -> list[list[float]]:
    _, _, columns = fit._standardized(data)
    return columns


def test_the_ridge_is_the_textbook_one() -> None:
    numpy = pytest.importorskip("numpy")
    data = rows(60, 0)
    targets = tuple(0.02 * row[1] - 0.01 * row[3] + 0.3 for row in data)
    _, _, head = fit.fit(data, (0,) * 60, (0,) * 60, targets)
    x = numpy.array(standard(data)).T
    y = numpy.array(targets)
    wanted = numpy.linalg.solve(x.T @ x + fit.PENALTY * numpy.eye(x.shape[1]), x.T @ (y - y.mean()))
    guesses = [fit.dot(head, row) for row in data]
    assert guesses == pytest.approx(list(x @ wanted + y.mean()), abs=1e-4)


def loss(head: fit.Weights, data: tuple[fit.Row, ...], labels: tuple[int, ...]) -> float:
    """Penalized log loss with the half positive and half negative label of the constant."""
    columns = standard(data)
    means, spreads, _ = fit._standardized(data)
    slopes = [weight * spread for weight, spread in zip(head[1:], spreads, strict=True)]
    constant = head[0] + sum(w * m for w, m in zip(head[1:], means, strict=True))
    total = fit.PENALTY / 2 * sum(one * one for one in slopes)
    for place, label in enumerate(labels):
        score = constant + sum(s * c[place] for s, c in zip(slopes, columns, strict=True))
        total -= math.log(fit.sigmoid(score if label else -score))
    return total - 0.5 * (math.log(fit.sigmoid(constant)) + math.log(fit.sigmoid(-constant)))


def test_every_round_of_the_logistic_fit_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    data = rows(80, 1)
    rng = random.Random(2)
    labels = tuple(int(rng.random() < fit.sigmoid(0.04 * row[1])) for row in data)
    losses = []
    for rounds in (0, 1, 2, 3, 6, 60):
        monkeypatch.setattr(fit, "ROUNDS", rounds)
        fit.fit.cache_clear()
        losses.append(loss(fit.fit(data, labels, labels, (0.0,) * 80)[0], data, labels))
    fit.fit.cache_clear()
    assert all(later < before + 1e-4 for before, later in zip(losses, losses[1:], strict=False))
    assert losses[4] - losses[5] < 0.02 * (losses[0] - losses[5])  # six rounds are nearly all


def test_labels_that_are_all_the_same_are_no_certainty() -> None:
    data = rows(32, 3)
    head, other, flat = fit.fit(data, (1,) * 32, (0,) * 32, (0.0,) * 32)
    chances = [fit.sigmoid(fit.dot(head, row)) for row in data]
    assert min(chances) > 0.9 and max(chances) < 0.999
    assert max(fit.sigmoid(fit.dot(other, row)) for row in data) < 0.1
    assert [fit.dot(flat, row) for row in data] == pytest.approx([0.0] * 32)
    with pytest.raises(ValueError, match="nothing"):
        fit.fit((), (), (), ())


def test_the_same_rows_give_the_same_weights() -> None:
    data = rows(40, 4)
    labels = tuple(place % 2 for place in range(40))
    first = fit.fit(data, labels, labels, (0.5,) * 40)
    fit.fit.cache_clear()
    assert fit.fit(data, labels, labels, (0.5,) * 40) == first


def test_scores_by_hand() -> None:
    scores = Scores().add(0.8, 0.5, 1).add(0.3, 0.5, 1).add(0.0, 0.5, 0).add(1.0, 0.5, 1)
    assert scores.n == 4
    assert scores.brier == pytest.approx(0.04 + 0.49)
    assert scores.constant == pytest.approx(1.0)
    assert scores.bins[8] == (1, 0.8, 1) and scores.bins[3] == (1, 0.3, 1)
    assert scores.bins[0] == (1, 0.0, 0) and scores.bins[9] == (1, 1.0, 1)


def told(guesses: list[tuple[float, int]]) -> Scores:
    scores = Scores()
    for guess, label in guesses:
        scores = scores.add(guess, 0.5, label)
    return scores


def test_the_weight_grows_with_labels_and_falls_to_nothing() -> None:
    good = told([(0.8, 1), (0.2, 0)] * 20)
    assert [good.weight(labels) for labels in (40, 100, FULL, 5000)] == [0.2, 0.5, 1.0, 1.0]
    assert told([(0.2, 1), (0.8, 0)] * 20).weight(FULL) == 0.0
    assert told([(0.5, 1), (0.5, 0)] * 20).weight(FULL) == 0.0
    assert told([(0.8, 1)] * (LEAST - 1)).weight(FULL) == 0.0
    lucky = told([(0.9, 1)] * 11 + [(0.9, 0)] * 9)  # better here and there, not beyond doubt
    assert lucky.weight(FULL) == 0.0


def test_the_area_counts_pairs() -> None:
    rng = random.Random(5)
    guesses = [rng.randrange(6) / 5 for _ in range(40)]
    labels = [rng.randrange(2) for _ in range(40)]
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, positive in zip(guesses, labels, strict=True)
        for b, negative in zip(guesses, labels, strict=True)
        if positive and not negative
    ]
    assert area(guesses, labels) == pytest.approx(sum(pairs) / len(pairs))
    assert area(guesses, [1] * 40) is None


def test_the_rank_correlation_sees_order_alone() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 40, 80]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [5, 4, 3, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)  # 1 - 6*4/120
    assert rank_correlation([1, 1, 2], [1, 1, 1]) is None
    assert rank_correlation([], []) is None
