# SPDX-License-Identifier: Apache-2.0
"""The process reward model: labels from verdicts alone, guesses before labels, silence when in
doubt."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Sequence

import pytest
from doubles import attempt
from landscapes import always, attempts, view

from kernelcoder.methods import lats
from kernelcoder.methods.prm import learner
from kernelcoder.methods.prm.features import NAMES, features
from kernelcoder.methods.prm.learner import Label, State, Step
from kernelcoder.methods.prm.scoring import area
from kernelcoder.methods.trees.tree import Node, grow
from kernelcoder.records import Attempt, Candidate, Proposal

LINES = ("x += y[i];", "z = f(x);", "for (int i = 0; i < n; ++i) a[i] = b[i];", "if (x) return;")


def parent(ordinal: int, source: str, status: str = "verified", speed: float = 1.0) -> Attempt:
    made = attempt(ordinal, status, speed)
    return dataclasses.replace(made, candidate=Candidate(source, "cpp", "fake"))


def world(count: int, seed: int, planted: bool) -> list[Attempt]:
    """Pairs of a draft and its refinement, as attempts. Where ``planted``, a refinement of a kernel
    with a `slow_path` is faster in one of four cases, of the others in three of four; else every
    second one is, whatever the kernel. One in five is wrong."""
    rng = random.Random(f"{seed} {planted}")
    made: list[Attempt] = []
    for _ in range(count):
        slow = rng.random() < 0.5
        body = "\n".join(rng.choice(LINES) for _ in range(rng.randrange(5, 20)))
        source = ("call slow_path(q);\n" if slow else "#pragma unroll tail\n") + body
        draft = parent(len(made), source)
        chance = (0.25 if slow else 0.75) if planted else 0.5
        status = "verified" if rng.random() < 0.8 else "incorrect"
        speed = 1.5 if rng.random() < chance else 0.9
        step = Proposal("refine", parents=(draft.ordinal,))
        made += [draft, attempt(draft.ordinal + 1, status, speed, step)]
    return made


def learnt(made: Sequence[Attempt], state: State | None = None) -> State:
    return learner.learn(state or State(), grow(view(made), 3), 0.02)


# labels


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("verified", 1.0), ("verified", 1.5), Label(1, 1, math.log(1.5))),
        (("verified", 1.0), ("verified", 1.01), Label(1, 0, math.log(1.01))),
        (("verified", 1.0), ("verified", 0.5), Label(1, 0, 0.0)),
        (("verified", 1.0), ("verified", 1e6), Label(1, 1, learner.CAP)),
        (("verified", 1.0), ("incorrect", 1.0), Label(0, 0, 0.0)),
        (("verified", None), ("verified", None), Label(1, 0, 0.0)),
        (("incorrect", 1.0), ("verified", 0.1), Label(1, 1, 1.0)),
        (("incorrect", 1.0), ("compile_error", 1.0), Label(0, 0, 0.0)),
        (("incorrect", 1.0), ("no_candidate", 1.0), Label(0, 0, 0.0)),
    ],
)
def test_a_label_is_made_of_two_verdicts(
    old: tuple[str, float | None], new: tuple[str, float | None], expected: Label
) -> None:
    assert learner.label(attempt(0, *old), attempt(1, *new), 0.02) == expected


def test_a_copy_gains_nothing() -> None:
    copy = dataclasses.replace(attempt(1, speed=2.0), duplicate_of=0)
    assert learner.label(attempt(0), copy, 0.02) == Label(1, 0, 0.0)


def test_drafts_and_our_own_faults_teach_nothing() -> None:
    made = attempts(
        lats, lats.Options(100, 150, 3, 0, 4, False, False, True), always("verified"), 9
    )
    steps = sum(bool(one.proposal.parents) for one in made)
    assert 0 < learnt(made).labels == steps < 9
    lost = [dataclasses.replace(one, verdict=attempt(0, "infra_error").verdict) for one in made]
    assert learnt(lost) == State()


# never its own values


def sure(state: State, logit: float) -> State:
    """The state with heads that say the same of everything."""
    head = (logit, *([0.0] * (len(NAMES) - 1)))
    return dataclasses.replace(state, weights=(head, head, head))


def test_it_never_trains_on_its_own_values() -> None:
    made = world(60, 0, False)
    fails = [
        dataclasses.replace(one, verdict=attempt(0, "incorrect").verdict) if place % 2 else one
        for place, one in enumerate(made)
    ]
    wrong = sure(State(), 12.0)  # certain that everything gains
    first = learner.learn(wrong, grow(view(fails[:60]), 3), 0.02)
    assert all(step.said == (1.0, 1.0, learner.CAP) for step in first.steps)
    assert {step.label for step in first.steps} == {Label(0, 0, 0.0)}
    assert first.weight == 0.0
    for confidence in (-12.0, 0.0, 12.0):
        state = learner.learn(sure(State(), confidence), grow(view(made), 3), 0.02)
        assert [(s.row, s.label) for s in state.steps] == [
            (s.row, s.label) for s in learnt(made).steps
        ]
        assert state.weights == learnt(made).weights  # fit from the steps alone, not from before


def test_a_confidently_wrong_model_is_overruled_and_relearns() -> None:
    made = world(120, 1, True)
    state = sure(State(), 12.0)
    half = learner.learn(state, grow(view(made[: 2 * 31]), 3), 0.02)
    assert half.weights == state.weights and half.weight == 0.0
    assert half.gained.brier > half.gained.constant
    later = learnt(made[2 * 31 :], half)
    mean = sum(learner.guess(later, step.row)[1] for step in later.steps) / len(later.steps)
    assert 0.3 < mean < 0.7


# guess, observe, train


def test_it_abstains_before_the_first_fit() -> None:
    state = State()
    for place, step in enumerate(learnt(world(40, 2, True)).steps):
        assert bool(learner.guess(state, step.row)) == (place >= learner.REFIT)
        assert bool(step.said) == (place >= learner.REFIT)
        state = learner._fold(state, step.row, step.label)
    assert state.gained.n == 40 - learner.REFIT


def test_it_is_fit_at_every_32nd_label_only() -> None:
    made = world(70, 3, True)
    seen = [learnt(made[: 2 * count]).weights for count in range(71)]
    changes = [count for count in range(1, 71) if seen[count] != seen[count - 1]]
    assert changes == [32, 64]


def test_a_guess_is_made_before_its_label_is_known() -> None:
    steps = learnt(world(50, 4, True)).steps
    for place in (32, 40, 49):
        truth = steps[place].label
        flipped = Label(1 - truth.correct, 1 - truth.gained, 1.0 - truth.gain)
        state = State()
        for step in steps[:place]:
            state = learner._fold(state, step.row, step.label)
        one = learner._fold(state, steps[place].row, truth).steps[-1]
        other = learner._fold(state, steps[place].row, flipped).steps[-1]
        assert one.said == other.said == steps[place].said


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_leave_it_without_a_say(seed: int) -> None:
    made = world(220, seed, False)
    looks = [learnt(made[:count]).weight for count in range(100, 441, 20)]
    assert sum(look > 0 for look in looks) <= 1
    assert looks[-1] == 0.0


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_signal_is_learnt(seed: int) -> None:
    state = learnt(world(220, seed, True))
    assert state.weight == 1.0
    found = learner.report(state)["gained"]
    assert found["brier"] < 0.95 * found["brier_constant"]
    held = learnt(world(200, 100 + seed, True)).steps  # never seen by the state
    labels = [step.label.gained for step in held]
    guesses = [learner.guess(state, step.row)[1] for step in held]
    beaten = area(guesses, labels)
    assert beaten is not None and beaten > 0.65 > 0.5 == area([0.5] * len(labels), labels)


# plain data


def test_a_state_survives_json_and_goes_on_the_same() -> None:
    made = world(90, 5, True)
    whole = learnt(made)
    data = json.loads(json.dumps(learner.to_data(learnt(made[:100]))))
    assert learnt(made[100:], learner.from_data(data)) == whole
    assert learner.from_data(None) == learner.from_data({"version": 0}) == State()


def test_what_is_kept_is_bounded() -> None:
    row = tuple([100] + [0] * (len(NAMES) - 1))
    old = Step(row, Label(0, 0, 0.0))
    full = dataclasses.replace(State(), labels=1000, steps=(old,) * learner.KEPT)
    after = learner._fold(full, row, Label(1, 1, 1.0))
    assert len(after.steps) == learner.KEPT and after.steps[-1].label.gained == 1
    assert after.labels == 1001


# features


def test_features_are_named_whole_numbers() -> None:
    made = parent(0, "for (;;) x[i] = y;\n")
    row = features(made, "debug", 2, 0.75, None)
    named = dict(zip(NAMES, row, strict=True))
    assert (named["one"], named["debug"], named["depth"], named["value"]) == (100, 100, 25, 75)
    assert named["stage_measured"] == 100 and named["stage_compiled"] == 0
    assert named["diff"] == 100 and named["count_0"] == round(100 * math.log(2) / 6)
    grams = [named[name] for name in NAMES if name.startswith("gram_")]
    assert len(grams) == 64 and sum(one * one for one in grams) == pytest.approx(10_000, rel=0.1)
    assert features(made, "debug", 2, 0.75, made)[NAMES.index("diff")] == 0
    assert all(isinstance(one, int) for one in row)


def test_a_step_is_described_without_its_result() -> None:
    draft = attempt(0)
    rows = []
    for status, speed in (("verified", 9.0), ("compile_error", None)):
        child = attempt(1, status, speed, Proposal("refine", parents=(0,)))
        rows.append(learnt([draft, child]).steps[0].row)
    assert rows[0] == rows[1]
    with pytest.raises(ValueError, match="no kernel"):
        learner.row_of(Node(-1, None))


def test_the_report_says_how_good_it_is() -> None:
    empty = learner.report(State())
    assert empty["gained"]["brier"] is None and empty["weight"] == 0.0
    found = learner.report(learnt(world(100, 6, True)))
    assert found["labels"] == 100 and found["gained"]["scored"] == 68
    assert sum(count for _, _, count in found["correct"]["calibration"]) == 68
    assert -1.0 <= found["rank_correlation"] <= 1.0
    json.dumps(found)
