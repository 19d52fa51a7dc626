# SPDX-License-Identifier: Apache-2.0
"""What every router must do; a new file in kernelcoder/routing is taken up by itself."""

from __future__ import annotations

import dataclasses
import importlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from kernelcoder import config, registry, routing
from kernelcoder.routing import Outcome, Situation

FOLDER = Path(routing.__file__).parent
MODULES = [
    importlib.import_module(f"kernelcoder.routing.{path.stem}")
    for path in sorted(FOLDER.glob("[!_]*.py"))
]
ROUTERS = [module for module in MODULES if hasattr(module, "PREFIX")]
ARMS = ("a/one_shot", "b/one_shot", "c/plan_code")
STATUSES = ("verified", "incorrect", "compile_error", "no_candidate", "timeout")


@pytest.fixture(params=ROUTERS, ids=lambda module: module.__name__.rpartition(".")[2])
def router(request: pytest.FixtureRequest) -> Any:
    return request.param


def options(router: Any) -> Any:
    """The options at their defaults."""
    values = {name: option.default for name, option in config.options().items()}
    return config.fill(router.Options, values, router.PREFIX)


def situation(at: int, pending: tuple[tuple[str, str], ...] = ()) -> Situation:
    role = ("draft", "refine", "debug", "rewrite")[at % 4]
    return Situation(role, (1.0, at / 40, float(at % 2)), at, 40, pending)


def play(router: Any, seed: int, status: str = "", arms: tuple[str, ...] = ARMS) -> list[Any]:
    """Forty attempts; the picks, and the snapshot at the end."""
    chosen, state, picks = options(router), router.begin(None, options(router)), []
    rng = random.Random(seed)
    for at in range(40):
        pick = router.choose(state, situation(at), arms, chosen, random.Random(1000 * seed + at))
        picks.append(pick)
        said = status or rng.choice(STATUSES)
        worth = rng.uniform(-0.5, 3.0) if said == "verified" else 0.0
        now = situation(at)
        done = Outcome(pick.arm, now.role, now.features, said, worth, rng.choice([None, 0.0, 9.0]))
        state = router.learn(state, done, arms, chosen)
    return [*picks, state]


def test_there_are_routers_and_each_can_be_chosen() -> None:
    names = {module.__name__.rpartition(".")[2] for module in ROUTERS}
    assert {"fixed", "uniform", "cascade", "lints"} <= names
    assert names == set(registry.members("ROUTER", config.options())) & names


def test_a_router_has_its_parts(router: Any) -> None:
    assert isinstance(router.carries, bool) and isinstance(router.looks, bool)
    missing = dataclasses.MISSING
    assert all(one.default is missing for one in dataclasses.fields(router.Options))
    assert router.looks or not router.carries


@pytest.mark.parametrize("status", ["", "verified", "incorrect"])
def test_every_choice_is_a_distribution_over_the_arms(router: Any, status: str) -> None:
    for pick in play(router, 1, status)[:-1]:
        assert set(pick.propensities) == set(ARMS) and pick.arm in ARMS
        assert sum(pick.propensities.values()) == pytest.approx(1.0)
        assert min(pick.propensities.values()) >= 0.0 < pick.propensities[pick.arm]
        assert pick.why


def test_the_same_again_and_no_global_randomness(router: Any) -> None:
    random.seed(5)
    before, first = random.getstate(), play(router, 2)
    assert random.getstate() == before
    random.seed(6)
    assert play(router, 2) == first


def test_learning_and_choosing_leave_a_snapshot_as_it_was(router: Any) -> None:
    state, chosen = play(router, 3)[-1], options(router)
    text = json.dumps(state)
    router.choose(state, situation(41), ARMS, chosen, random.Random(0))
    router.learn(state, Outcome(ARMS[0], "draft", (1.0, 0.0, 0.0), "verified", 1.0), ARMS, chosen)
    router.begin(state, chosen)
    assert json.dumps(state) == text


def test_a_snapshot_survives_json(router: Any) -> None:
    state, chosen = play(router, 4)[-1], options(router)
    again = json.loads(json.dumps(state))
    picks = [
        router.choose(one, situation(41), ARMS, chosen, random.Random(9)) for one in (state, again)
    ]
    assert picks[0] == picks[1]


def test_a_single_arm_and_twelve_arms(router: Any) -> None:
    assert {pick.arm for pick in play(router, 5, "incorrect", ARMS[:1])[:-1]} == {ARMS[0]}
    many = tuple(f"m{number}/one_shot" for number in range(routing.MOST_ARMS))
    assert {pick.arm for pick in play(router, 5, "", many)[:-1]} <= set(many)


def test_it_chooses_while_everything_is_still_pending(router: Any) -> None:
    chosen, pending = options(router), ()
    for at in range(12):
        state = router.begin(None, chosen)
        now = situation(at, pending)
        pick = router.choose(state, now, ARMS, chosen, random.Random(at))
        assert pick.arm in ARMS
        pending = (*pending, (pick.arm, now.role))


def test_a_router_that_does_not_look_chooses_blindly(router: Any) -> None:
    if not router.looks:
        seen, blind = play(router, 6)[:-1], play(router, 6, "incorrect")[:-1]
        assert seen == blind
