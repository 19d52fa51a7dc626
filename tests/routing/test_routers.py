# SPDX-License-Identifier: Apache-2.0
"""Routers as functions: they find the best arm, follow a switch, keep a floor, and escalate."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from doubles import POOL, attempt

from kernelcoder.errors import Error
from kernelcoder.records import Proposal
from kernelcoder.routing import (
    Outcome,
    Pick,
    Situation,
    arms_of,
    cascade,
    fixed,
    floored,
    lints,
    uniform,
)
from kernelcoder.routing.features import NAMES, features
from kernelcoder.routing.linear import chances, dot, identity, observed, solve
from kernelcoder.routing.rewards import reward

ARMS = ("a/one_shot", "b/one_shot")
LINTS = lints.Options(spread_percent=30, discount_percent=98, floor_percent=5, pulls=2)


def situation(role: str = "draft", x: tuple[float, ...] = (1.0,), at: int = 0) -> Situation:
    return Situation(role, x, at, 32)


def outcome(arm: str, worth: float = 0.0, status: str = "verified", **more: Any) -> Outcome:
    x = more.pop("x", (1.0,))
    return Outcome(arm, more.pop("role", "draft"), x, status, worth, **more)


def play(
    steps: int,
    worth: Callable[[str, int, random.Random], float],
    options: lints.Options = LINTS,
    arms: tuple[str, ...] = ARMS,
    seed: int = 0,
    state: Any = None,
) -> tuple[list[str], Any]:
    """The arms taken, and the last state, when arm ``a`` at step ``t`` earns ``worth(a, t)``."""
    rng, taken = random.Random(seed), []
    state = lints.begin(state, options)
    for step in range(steps):
        pick = lints.choose(state, situation(), arms, options, rng)
        taken.append(pick.arm)
        state = lints.learn(state, outcome(pick.arm, worth(pick.arm, step, rng)), arms, options)
    return taken, state


def chance_of(state: Any, arm: str, where: Situation | None = None) -> float:
    pick = lints.choose(state, where or situation(), ARMS, LINTS, random.Random(0))
    return pick.propensities[arm]


# LinTS (KA3)


def test_the_best_arm_is_taken_nine_times_in_ten_after_two_hundred_steps() -> None:
    def worth(arm: str, step: int, rng: random.Random) -> float:
        return float(rng.random() < {"a/one_shot": 0.2, "b/one_shot": 0.8}[arm])

    late = [Counter(play(300, worth, seed=seed)[0][200:])["b/one_shot"] for seed in range(10)]
    assert min(late) >= 80 and sum(late) >= 900  # of 100 and 1000; the floor allows 95 and 950


def test_it_recovers_after_the_arms_have_changed_places() -> None:
    def worth(arm: str, step: int, rng: random.Random) -> float:
        better = "b/one_shot" if step < 200 else "a/one_shot"
        return float(rng.random() < (0.8 if arm == better else 0.2))

    taken = [play(500, worth, seed=seed)[0] for seed in range(10)]
    assert sum(Counter(one[100:200])["b/one_shot"] for one in taken) >= 850
    assert sum(Counter(one[400:])["a/one_shot"] for one in taken) >= 900


def test_the_best_arm_depends_on_the_situation() -> None:
    rng, state = random.Random(3), lints.begin(None, LINTS)
    where = {"rows": (1.0, 1.0, 0.0), "matmul": (1.0, 0.0, 1.0)}
    best = {"rows": ARMS[0], "matmul": ARMS[1]}
    right: list[bool] = []
    for step in range(400):
        kind = ("rows", "matmul")[step % 2]
        pick = lints.choose(state, situation(x=where[kind]), ARMS, LINTS, rng)
        worth = 0.8 if pick.arm == best[kind] else 0.1
        right.append(pick.arm == best[kind])
        state = lints.learn(state, outcome(pick.arm, worth, x=where[kind]), ARMS, LINTS)
    assert sum(right[300:]) >= 90


def test_a_negative_reward_lowers_the_probability_and_a_positive_one_raises_it() -> None:
    options = lints.Options(30, 98, 5, 0)
    state = lints.begin(None, options)
    rng = random.Random(0)
    before = lints.choose(state, situation(), ARMS, options, rng).propensities[ARMS[0]]
    for worth, lower in ((-0.5, True), (0.8, False)):
        after = lints.learn(state, outcome(ARMS[0], worth), ARMS, options)
        now = lints.choose(after, situation(), ARMS, options, rng).propensities[ARMS[0]]
        assert (now < before) is lower
    assert before == pytest.approx(0.5)


def test_every_arm_is_tried_twice_in_each_role_at_first() -> None:
    taken, state = play(4, lambda arm, step, rng: float(arm == ARMS[1]), floorless())
    assert Counter(taken) == {ARMS[0]: 2, ARMS[1]: 2}
    again = lints.choose(state, situation("debug"), ARMS, floorless(), random.Random(1))
    assert "tried 0 times" in again.why


def floorless() -> lints.Options:
    return lints.Options(30, 98, 0, 2)


def test_attempts_under_way_count_as_tries() -> None:
    state = lints.begin(None, floorless())
    pending = ((ARMS[0], "draft"), (ARMS[0], "refine"))
    picked = lints.choose(
        state, Situation("draft", (1.0,), 2, 9, pending), ARMS, floorless(), random.Random(0)
    )
    assert picked.arm == ARMS[1]


def test_no_arm_is_ever_below_the_floor_and_the_chances_sum_to_one() -> None:
    _, state = play(100, lambda arm, step, rng: 3.0 * (arm == ARMS[1]))
    pick = lints.choose(state, situation(), ARMS, LINTS, random.Random(0))
    assert pick.propensities[ARMS[0]] == pytest.approx(0.05)
    assert sum(pick.propensities.values()) == pytest.approx(1.0)


def test_arms_are_drawn_with_the_logged_chances() -> None:
    _, state = play(20, lambda arm, step, rng: 0.3 + 0.1 * (arm == ARMS[1]))
    picks = [lints.choose(state, situation(), ARMS, LINTS, random.Random(s)) for s in range(2000)]
    expected = picks[0].propensities[ARMS[1]]
    share = sum(pick.arm == ARMS[1] for pick in picks) / 2000
    assert 0.1 < expected < 0.95
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 2000) ** 0.5)


def test_spending_ahead_of_the_plan_raises_the_price_and_shifts_to_the_cheap_arm() -> None:
    def pulled(share: dict[str, float]) -> tuple[float, float]:
        state = lints.begin(None, LINTS)
        for arm in itertools.islice(itertools.cycle(ARMS), 40):
            # The dear arm is a little better.
            one = outcome(arm, 0.5 + 0.2 * (arm == ARMS[1]), share=share.get(arm))
            state = lints.learn(state, one, ARMS, LINTS)
        assert isinstance(state, dict)
        return float(state["price"]), chance_of(state, ARMS[1])

    free, dear = pulled({}), pulled({ARMS[0]: 0.2, ARMS[1]: 3.0})
    cheap = pulled({ARMS[0]: 0.1, ARMS[1]: 0.3})
    assert free[0] == cheap[0] == 0.0 and dear[0] > 0.5
    assert free[1] == pytest.approx(cheap[1]) and free[1] > 0.6 > 0.2 > dear[1]


def test_state_survives_json() -> None:
    _, state = play(50, lambda arm, step, rng: rng.random())
    assert json.loads(json.dumps(state)) == state
    again = json.loads(json.dumps(state))
    assert chance_of(again, ARMS[0]) == chance_of(state, ARMS[0])


# The figures behind it


def test_chances_are_those_of_sampling() -> None:
    guesses = {"a": (0.0, 1.0), "b": (0.5, 0.3), "c": (-1.0, 2.0)}
    rng, wins = random.Random(0), Counter[str]()
    for _ in range(20_000):
        drawn = {name: rng.gauss(*guess) for name, guess in guesses.items()}
        wins[max(drawn, key=lambda name: drawn[name])] += 1
    found = chances(guesses)
    for name, count in wins.items():
        assert found[name] == pytest.approx(count / 20_000, abs=0.015)


def test_a_certain_winner_has_all_the_chance() -> None:
    found = chances({"a": (0.0, 1e-6), "b": (1.0, 1e-6)})
    assert found["b"] == pytest.approx(1.0)


def test_the_solver_solves() -> None:
    rng, matrix = random.Random(1), identity(6)
    for _ in range(9):
        matrix = observed(matrix, [rng.gauss(0, 1) for _ in range(6)])
    right = [rng.gauss(0, 1) for _ in range(6)]
    found = solve(matrix, right)
    assert [dot(line, found) for line in matrix] == pytest.approx(right)


def test_floors_above_the_uniform_share_are_the_uniform_share() -> None:
    assert floored({"a": 1.0, "b": 0.0}, 0.9) == {"a": 0.5, "b": 0.5}


def test_features_have_their_names_and_size() -> None:
    parent = attempt(0, "incorrect")
    found = dict(zip(NAMES, features(POOL[0], "debug", [parent], [parent], 8, 32), strict=True))
    assert found["bias"] == 1.0 and found["role debug"] == 1.0 and found["role draft"] == 0.0
    assert found["parent stage"] == 0.5 and found["budget left"] == 0.75
    assert all(-1.0 <= value <= 2.0 for value in found.values())
    other = features(POOL[2], "debug", [parent], [parent], 8, 32)
    assert other != tuple(found.values())


# Rewards


def test_rewards_are_becoming_right_and_the_gain() -> None:
    first = attempt(0, "verified", 2.0)
    slower = attempt(1, "verified", 1.0, Proposal("refine", parents=(0,)))
    faster = attempt(2, "verified", 4.0, Proposal("refine", parents=(0,)))
    wrong = attempt(3, "incorrect", None)
    mended = attempt(4, "verified", 0.5, Proposal("debug", parents=(3,)))
    known = {one.ordinal: one for one in (first, slower, faster, wrong, mended)}
    found = [reward(one, known, "eager") for one in known.values()]
    assert found == pytest.approx([1.6931, 0.0, 0.6931, 0.0, 1.0], abs=1e-4)


# Cascade (KF14)


def cascading(
    statuses: list[str], after: int = 2, on: str = "any", budget_percent: int = 0
) -> list[str]:
    """The arm of every attempt when these are the outcomes, and of the one after them."""
    options, arms = cascade.Options(after, on, budget_percent), ("a", "b", "c")
    state, taken = cascade.begin(None, options), []
    for at, status in enumerate([*statuses, "end"]):
        pick = cascade.choose(state, situation(at=at), arms, options, random.Random(0))
        assert pick.propensities == {name: float(name == pick.arm) for name in arms}
        taken.append(pick.arm)
        state = cascade.learn(state, outcome(pick.arm, 0.0, status), arms, options)
    return taken


def test_a_cascade_goes_on_after_failures_in_a_row() -> None:
    assert "".join(cascading(["incorrect"] * 6)) == "aabbccc"
    assert "".join(cascading(["incorrect", "verified", "incorrect", "incorrect"])) == "aaaab"


def test_only_the_named_classes_escalate() -> None:
    row = ["incorrect", "compile_error", "incorrect", "compile_error"]
    assert "".join(cascading(row, on="compile_error")) == "aaaab"
    assert "".join(cascading(row, on="timeout,oom")) == "aaaaa"


def test_a_used_up_budget_escalates_unless_something_is_right() -> None:
    assert "".join(cascading(["incorrect"] * 20, 64, "any", 25)) == "a" * 8 + "b" * 8 + "c" * 5
    assert "".join(cascading(["verified", *["incorrect"] * 9], 64, "any", 25)) == "a" * 11


def test_late_failures_of_an_earlier_arm_are_not_those_of_the_next() -> None:
    options, arms = cascade.Options(1, "any", 0), ("a", "b")
    state = cascade.begin(None, options)
    for _ in range(3):
        state = cascade.learn(state, outcome("a", 0.0, "incorrect"), arms, options)
    assert isinstance(state, dict) and state["level"] == 1 and state["row"] == 0


@pytest.mark.parametrize(("on", "level"), [("any", 0), ("any,transport", 1), ("transport", 1)])
def test_a_silent_model_escalates_only_if_told_so(on: str, level: int) -> None:
    options = cascade.Options(9, on, 0)
    silent = outcome("b", 1.0, "verified", unreachable=("a",))
    state = cascade.learn(cascade.begin(None, options), silent, ("a", "b"), options)
    assert isinstance(state, dict) and state["level"] == level
    assert cascade.falls(options) is bool(level)


def test_mistakes_in_failure_classes_are_named() -> None:
    assert cascade.mistakes(cascade.Options(1, "any,slow", 0))[0].what == "no failure class 'slow'"
    assert cascade.mistakes(cascade.Options(1, " ", 0)) and not cascade.mistakes(
        cascade.Options(1, "incorrect,transport", 0)
    )


# The rest


def test_fixed_and_uniform_are_what_they_say() -> None:
    rng = random.Random(0)
    assert fixed.choose(None, situation(), ARMS, fixed.Options(), rng).arm == ARMS[0]
    picks = [uniform.choose(None, situation(), ARMS, uniform.Options(), rng) for _ in range(400)]
    assert 150 < sum(pick.arm == ARMS[0] for pick in picks) < 250


def test_a_pick_cannot_lie_about_its_chances() -> None:
    with pytest.raises(ValueError, match="propensities"):
        Pick("a", {"a": 0.0, "b": 1.0}, "")
    with pytest.raises(ValueError, match="propensities"):
        Pick("a", {"a": 0.7, "b": 0.7}, "")


def test_mistakes_in_arms_come_all_at_once() -> None:
    with pytest.raises(Error) as caught:
        arms_of("recipe/one_shot,recipe/oneshot,gpt/plan_code", ["recipe"], ["one_shot"])
    said = str(caught.value)
    assert "no recipe 'oneshot'" in said and "no model 'gpt'" in said and "plan_code" in said
    with pytest.raises(Error, match="listed twice"):
        arms_of("recipe/one_shot,recipe/one_shot", ["recipe"], ["one_shot"])
    with pytest.raises(Error, match="12 are the most"):
        arms_of(",".join(f"m{n}/s" for n in range(13)), [f"m{n}" for n in range(13)], ["s"])
