# SPDX-License-Identifier: Apache-2.0
"""Routing and calibration: off-topic is rejected, scores are explained, confidence is not enough,
figures are of held-out requests and outcomes (KW4, KW5, KW11)."""

from __future__ import annotations

import random

import pytest
from skill_doubles import VERIFIER, seasoned, skill, task

from kernelcoder.memory.skill import calibration, features, labelled, routing
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.memory.skill.schema import Skill

FACTS = features.of_task(task(), "fake", "cpp")


def library() -> list[Skill]:
    return [skill(name, intent=intent) for name, intent in labelled.load()[0].items()]


def test_the_labelled_set_is_fit_for_its_purpose() -> None:
    skills, prompts = labelled.load()
    texts = [text for text, _ in prompts]
    off = sum(label is None for _, label in prompts)
    assert len(prompts) >= 60 and len(set(texts)) == len(texts)
    assert abs(off - len(prompts) / 2) <= len(prompts) * 0.05
    assert {label for _, label in prompts if label} == set(skills)
    assert not set(texts) & set(skills.values())


def test_held_out_requests_are_routed_or_rejected() -> None:
    found = {one.router: one for one in labelled.report()}
    ours = found.pop("skills")
    assert ours.right >= 0.85 and ours.rejected >= 0.90
    for other in found.values():
        assert ours.right > other.right, other.router


def test_halves_share_no_request_and_have_every_label() -> None:
    _, prompts = labelled.load()
    for seed in range(5):
        fit, held = labelled.halves(prompts, seed)
        assert not set(fit) & set(held) and set(fit) | set(held) == set(prompts)
        assert {label for _, label in fit} == {label for _, label in held}
    assert labelled.halves(prompts, 0) != labelled.halves(prompts, 1)


def test_the_shipped_threshold_does_as_well_on_the_whole_set() -> None:
    skills, prompts = library(), labelled.load()[1]
    best = {text: routing.in_words(text, skills)[0] for text, _ in prompts}
    off = [best[text].passes for text, label in prompts if label is None]
    on = [
        best[text].passes and best[text].skill == f"{label}@1" for text, label in prompts if label
    ]
    assert sum(off) / len(off) <= 0.10
    assert sum(on) / len(on) >= 0.85


@pytest.mark.parametrize("text", ["banana", "What is the capital of Australia?", "", "of the to"])
def test_confidence_alone_does_not_pass(text: str) -> None:
    sure = seasoned(500, intent="softmax along the last dim of each row")
    (choice,) = routing.in_words(text, [sure], VERIFIER)
    assert choice.confidence > 0.99 and not choice.passes
    (doubted,) = routing.in_words("softmax of each row", [seasoned(0, 2, intent=sure.intent)])
    (trusted,) = routing.in_words("softmax of each row", [sure], VERIFIER)
    assert trusted.passes and trusted.score > doubted.score


def test_a_perfect_confidence_cannot_lift_a_match_over_the_threshold() -> None:
    highest = routing.THRESHOLD - 1e-9
    assert highest * (routing.FLOOR + (1 - routing.FLOOR) * 1.0) < routing.THRESHOLD


def test_a_score_is_explained_by_its_figures() -> None:
    (choice,) = routing.for_task(FACTS, [seasoned(3)], VERIFIER)
    for figure in (f"{choice.score:.2f}", f"{choice.match:.2f}", "3 of 3 right", "threshold 0.5"):
        assert figure in choice.said
    parts = choice.match * (routing.FLOOR + (1 - routing.FLOOR) * choice.confidence)
    assert choice.score == pytest.approx(parts)


def test_preconditions_filter_and_expected_gain_ranks() -> None:
    often, seldom = seasoned(9), seasoned(5, 4)
    skills = [
        skill("fake-other", preconditions=(Predicate("category", "==", "matmul"),)),
        skill("fake-seldom", evidence=seldom.evidence),
        skill("fake-often", evidence=often.evidence),
    ]
    found = routing.for_task(FACTS, skills, VERIFIER)
    assert [one.skill for one in found][:2] == ["fake-often@1", "fake-seldom@1"]
    assert "fake-other@1" not in {one.skill for one in found}
    bare = routing.for_task(FACTS, [skill(preconditions=())], VERIFIER)
    assert not bare[0].passes, "a skill without telling preconditions applies to nothing"


def outcomes(count: int, seed: int = 0) -> list[calibration.Outcome]:
    """Scores whose chance of being right is known: 1 / (1 + exp(-(6 s - 3)))."""
    rng = random.Random(seed)
    scores = [rng.random() for _ in range(count)]
    return [(s, int(rng.random() < calibration.sigmoid(6 * s - 3))) for s in scores]


def test_calibration_finds_the_map_it_was_drawn_from() -> None:
    found = calibration.fit(outcomes(3000))
    for score in (0.1, 0.5, 0.9):
        truth = calibration.sigmoid(6 * score - 3)
        assert found.probability(score) == pytest.approx(truth, abs=0.05)
    assert found.brier < found.constant and found.ece < 0.06
    assert found.fitted + found.held_out == 3000 and found.held_out == 1000


def test_figures_are_of_outcomes_the_fit_has_not_seen() -> None:
    rows = outcomes(300)
    flipped = [
        (score, 1 - right) if at % calibration.EVERY_HELD_OUT == 2 else (score, right)
        for at, (score, right) in enumerate(rows)
    ]
    honest, turned = calibration.fit(rows), calibration.fit(flipped)
    assert (honest.slope, honest.offset) == (turned.slope, turned.offset)
    assert turned.brier > honest.constant > honest.brier


def test_scores_that_say_nothing_are_no_better_than_a_constant() -> None:
    rng = random.Random(1)
    found = calibration.fit([(rng.random(), rng.randrange(2)) for _ in range(2000)])
    assert found.brier == pytest.approx(found.constant, abs=0.01)


@pytest.mark.parametrize("count", [0, 1, calibration.LEAST - 1])
def test_too_few_outcomes_are_refused(count: int) -> None:
    with pytest.raises(calibration.TooFew, match="are needed"):
        calibration.fit(outcomes(count))


def test_outcomes_of_one_kind_are_refused() -> None:
    with pytest.raises(calibration.TooFew, match="one kind"):
        calibration.fit([(0.5, 1)] * 100)


def test_brier_and_calibration_error_by_hand() -> None:
    said = [(0.0, 0), (1.0, 1), (0.5, 1), (0.5, 0)]
    assert calibration.brier(said) == pytest.approx(0.125)
    assert calibration.ece(said) == 0.0
    assert calibration.ece([(0.9, 0), (0.9, 0)]) == pytest.approx(0.9)
    assert calibration.platt([(0.0, 0), (1.0, 1)] * 20)[0] > 0, "separable, and still finite"
