# SPDX-License-Identifier: Apache-2.0
"""Status follows from counted trials: promotion, demotion, history, and no padding (KW1, KW7)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from skill_doubles import VERIFIER, seasoned, skill, trial

from kernelcoder.memory.skill import evidence
from kernelcoder.memory.skill.schema import Skill

# Lower ends of Wilson's 95 % interval, from its closed form worked by hand.
WILSON = {(0, 0): 0.0, (0, 5): 0.0, (8, 8): 0.6756, (7, 8): 0.5291, (5, 10): 0.2366}


def status(one: Skill, gate: tuple[str, ...] | None = ()) -> str:
    return evidence.judged(one, VERIFIER, gate).status


@pytest.mark.parametrize(("counts", "lower"), WILSON.items())
def test_wilson(counts: tuple[int, int], lower: float) -> None:
    assert evidence.wilson(*counts) == pytest.approx(lower, abs=1e-4)


def test_admission_takes_home_and_away() -> None:
    home, away = trial(), trial(1, task="core/silu")
    assert status(skill()) == "draft"
    assert status(skill(evidence=(home,))) == "draft"
    assert status(skill(evidence=(away,))) == "draft"
    assert status(skill(evidence=(home, away))) == "verified"
    assert status(skill(evidence=(home, replace(trial(2), kind="shapes")))) == "verified"
    assert status(skill(evidence=(home, trial(1, False, "core/silu")))) == "draft"


def test_trust_takes_eight_trials_over_three_tasks_and_its_tests() -> None:
    assert status(seasoned(8)) == "trusted"
    assert status(seasoned(7)) == "verified"
    assert status(seasoned(8, tasks=2)) == "verified"
    assert status(seasoned(8, 1)) == "verified", "8 of 9: lower limit 0.57"
    assert status(seasoned(8), None) == "verified", "the tests were not run"
    assert status(seasoned(8), ("core/relu: incorrect",)) == "verified"


def test_failures_lower_and_in_the_end_demote() -> None:
    trusted = evidence.judged(seasoned(8), VERIFIER, ())
    once = evidence.judged(evidence.added(trusted, trial(100, False)), VERIFIER)
    assert (trusted.status, once.status) == ("trusted", "verified")
    gone = once
    for number in range(101, 112):
        gone = evidence.judged(evidence.added(gone, trial(number, False)), VERIFIER)
    assert gone.status == "deprecated"
    back = evidence.added(gone, *(trial(n, True) for n in range(200, 300)))
    assert evidence.judged(back, VERIFIER, ()).status == "deprecated"
    assert [one.after for one in gone.history] == ["trusted", "verified", "deprecated"]
    assert len(gone.evidence) == 20 and all(change.why for change in gone.history)


def test_three_failures_before_eight_trials_are_enough() -> None:
    wrong = tuple(trial(n, False) for n in range(3))
    assert evidence.hopeless(evidence.standing(skill(evidence=wrong), VERIFIER))
    assert not evidence.hopeless(evidence.standing(skill(evidence=wrong[:2]), VERIFIER))


def test_a_failing_test_of_its_own_demotes_a_trusted_skill() -> None:
    trusted = evidence.judged(seasoned(8), VERIFIER, ())
    assert status(trusted, ("core/relu: incorrect",)) == "verified"
    assert status(trusted, ()) == "trusted"


def test_another_verifier_begins_again() -> None:
    trusted = evidence.judged(seasoned(9), VERIFIER, ())
    again = evidence.judged(trusted, "8", ())
    assert again.status == "draft" and len(again.evidence) == 9
    assert again.history[-1].after == "draft" and "this verifier" in again.history[-1].why


@pytest.mark.parametrize("copies", [2, 50])
def test_padding_the_stream_raises_nothing(copies: int) -> None:
    """The same instantiation again and again, in any order, is one trial."""
    honest = skill(evidence=(trial(), trial(1, task="core/silu")))
    padded = [one for one in honest.evidence for _ in range(copies)]
    random.Random(0).shuffle(padded)
    stuffed = replace(honest, evidence=tuple(padded))
    assert evidence.standing(stuffed, VERIFIER) == evidence.standing(honest, VERIFIER)
    assert status(stuffed) == "verified"


def test_claims_without_a_verdict_raise_nothing() -> None:
    made_up = [replace(trial(n, task=f"core/t{n}"), verifier="") for n in range(20)] + [
        replace(trial(n, task=f"core/u{n}"), kind="claimed") for n in range(20)
    ]
    made_up += [replace(trial(n), status="incorrect") for n in range(1)]
    assert status(skill(evidence=tuple(made_up))) == "draft"


def test_running_again_until_it_is_right_does_not_help() -> None:
    same = replace(trial(5), status="incorrect", outcome="fail")
    assert evidence.standing(skill(evidence=(same, trial(5))), VERIFIER).right == 0
    assert evidence.standing(skill(evidence=(trial(5), same)), VERIFIER).right == 0


def test_tests_are_made_of_what_was_right() -> None:
    grown = evidence.added(skill(), trial(), trial(1), trial(2, False, "core/silu"))
    assert [one.task for one in grown.tests] == ["core/relu"]
    many = evidence.added(grown, *(trial(n, task=f"core/t{n}") for n in range(9)))
    assert len(many.tests) == evidence.TESTS_KEPT
