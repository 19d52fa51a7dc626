# SPDX-License-Identifier: Apache-2.0
"""Evolution: parents, operators, what is in view, copies asked again, and a run in the engine."""

from __future__ import annotations

import dataclasses
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from doubles import POOL, Lab, ScriptedModel, ToldVerifier, by_luck
from kinds import KINDS, history, made

from kernelcoder import ledger as ledgers
from kernelcoder.contents import content_digest
from kernelcoder.history import History
from kernelcoder.methods import evolve
from kernelcoder.methods.evolution.islands import cell_of, fold, spread
from kernelcoder.records import Attempt, Proposal

THREE = evolve.Options(3, 1)
CHI_99 = {1: 6.635, 2: 9.210, 3: 11.345, 4: 13.277}  # 99 % points of chi-square (tables)


def chi_square(counts: Counter[Any], expected: dict[Any, float], total: int) -> float:
    return sum((counts[key] - total * p) ** 2 / (total * p) for key, p in expected.items())


# Parents and operators


def bred(past: History, draws: int = 10_000, options: evolve.Options = THREE) -> list[Any]:
    return [evolve.propose(past, random.Random(draw), options) for draw in range(draws)]


def parent_of(proposal: Proposal) -> int:
    return proposal.parents[-1]


def test_parents_are_drawn_by_their_weights() -> None:
    speeds = {0: (1.0, "plain"), 1: (2.0, "rows"), 2: (2.1, "staged"), 3: (3.0, "lanes")}
    child = Proposal("refine", parents=(3,))
    past = [made(one, *what) for one, what in speeds.items()]
    past += [made(4, 0.5, status="incorrect", proposal=child), made(5, 0.2, "lanes")]
    at = history(past, budget=32, pending=[(6, child), (7, Proposal("refine", parents=(0,)))])
    found = bred(at)
    logs = {one: math.log(speed) for one, (speed, _) in speeds.items()}
    middle = (logs[1] + logs[2]) / 2
    deviations = sorted(abs(one - middle) for one in logs.values())
    mad = (deviations[1] + deviations[2]) / 2
    children = {0: 1, 1: 0, 2: 0, 3: 2}
    raw = {
        one: 1 / (1 + math.exp(-10 * (log - middle) / mad)) / (1 + children[one])
        for one, log in logs.items()
    }
    expected = {
        one: 0.5 * (one == 3) + 0.25 / 4 + 0.25 * weight / sum(raw.values())
        for one, weight in raw.items()
    }
    drawn = Counter(parent_of(one) for one in found)
    assert set(drawn) == set(expected)
    assert chi_square(drawn, expected, len(found)) < CHI_99[3]


def test_operators_and_temperatures_have_their_shares() -> None:
    past = history([made(0, 1.0), made(1, 2.0, "rows"), made(2, 3.0, "staged")], budget=32)
    found = bred(past)
    roles = Counter(one.role for one in found)
    assert chi_square(roles, {"refine": 0.6, "rewrite": 0.2, "cross": 0.2}, 10_000) < CHI_99[2]
    warmths = Counter(one.temperature for one in found)
    assert chi_square(warmths, dict.fromkeys((0.4, 0.7, 1.0), 1 / 3), 10_000) < CHI_99[2]


def test_a_cross_takes_kernels_of_two_kinds() -> None:
    past = [made(0, 1.0), made(1, 2.0, "rows"), made(2, 3.0, "staged")]
    crosses = [one for one in bred(history(past, budget=32), 1000) if one.role == "cross"]
    assert crosses
    for one in crosses:
        mate, parent = one.parents
        assert cell_of(past[mate]) != cell_of(past[parent])


def test_the_mate_may_come_from_another_island() -> None:
    past = [made(0, 1.0), made(1, 2.0, "rows"), made(2, 3.0, "staged")]
    crosses = [one for one in bred(history(past), 1000) if one.role == "cross"]
    assert {one.parents for one in crosses} == {(1, 0), (2, 0)}


def test_with_one_kind_nothing_is_crossed() -> None:
    found = bred(history([made(0, 1.0), made(1, 2.0)], budget=32), 1000)
    shares = Counter(one.role for one in found)
    assert set(shares) == {"refine", "rewrite"}
    assert 740 < shares["refine"] < 860
    assert {one.shown for one in found} == {()}


def test_a_faster_kernel_of_the_same_kind_elsewhere_is_no_mate() -> None:
    past = [made(0, 1.0), made(1, 3.0), made(2, 2.0)]
    found = bred(history(past), 500)
    assert {one.role for one in found} == {"refine", "rewrite"}
    assert {one.shown for one in found} == {(1,)}


def test_no_kind_stands_twice_in_view() -> None:
    """Island 0 has a slower kernel of the kind that is best elsewhere, and a third kind."""
    past = [made(0, 2.0), made(1, 9.0, "rows"), made(2, 1.0), made(3, 1.5, "rows")]
    past += [made(4, 1.0), made(5, 1.0), made(6, 1.0, "staged")]
    for one in bred(history(past, ordinal=9), 1000):
        if parent_of(one) == 0 and one.role != "cross":
            assert one.shown == (1, 6)


def test_the_best_of_all_and_one_more_kind_are_in_view() -> None:
    past = [made(0, 1.0), made(1, 9.0, "rows"), made(2, 3.0, "staged"), made(3, 2.0, "lanes")]
    for one in bred(history(past, ordinal=6), 1000):
        assert parent_of(one) in (0, 3)
        kinds = [cell_of(past[ordinal]) for ordinal in (parent_of(one), *one.shown)]
        if 1 not in one.parents:
            assert one.shown[0] == 1
        assert len(set(kinds)) == len(kinds)
        assert not set(one.parents) & set(one.shown)
        assert len(one.shown) <= 2
    assert {len(one.shown) for one in bred(history(past, ordinal=6), 100)} >= {2}


@pytest.mark.parametrize("window", [1, 5])
def test_parents_live_on_the_island_whose_turn_it_is(window: int) -> None:
    """OpenEvolve drew parents from the wrong island."""
    past: list[Attempt] = []
    proposals: list[Proposal] = []
    luck = random.Random(3)
    for ordinal in range(120):
        seen = past[: max(0, ordinal - window + 1)]
        pending = [(one, proposals[one]) for one in range(len(seen), ordinal)]
        now = history(seen, budget=120, window=window, pending=pending)
        proposal = evolve.propose(now, random.Random(ordinal), THREE)
        assert proposal.chain == ordinal % 3
        home = fold(now, 3).islands[ordinal % 3]
        if proposal.role in ("refine", "rewrite", "cross"):
            assert parent_of(proposal) in {one.ordinal for one in home.elites.values()}
        if proposal.role == "debug":
            assert not home.elites
            assert parent_of(proposal) % 3 == ordinal % 3
        proposals.append(proposal)
        status = luck.choice(["verified", "incorrect"]) if ordinal > 20 else "incorrect"
        kind = luck.choice(sorted(KINDS))
        past.append(made(ordinal, luck.uniform(0.5, 3), kind, status, proposal))
    assert {one.role for one in proposals} == {"draft", "debug", "refine", "rewrite", "cross"}


def test_below_48_attempts_there_is_one_island() -> None:
    past = [made(0, 1.0), made(1, 2.0, "rows")]
    assert {one.chain for one in bred(history(past, budget=47), 50)} == {0}
    assert {parent_of(one) for one in bred(history(past, budget=47), 50)} == {0, 1}
    assert evolve.propose(history(past, budget=48), random.Random(0), THREE) == Proposal(
        "draft", chain=2
    )
    assert evolve.anytime is False


def test_nothing_right_is_mended_half_of_the_time() -> None:
    past = [
        made(0, status="incorrect"),
        made(1, status="compile_error"),
        made(2, status="incorrect", duplicate_of=0),
        made(3, status="incorrect", proposal=Proposal("seed", given="a" * 64)),
    ]
    found = bred(history(past, budget=32), 4000)
    roles = Counter(one.role for one in found)
    assert set(roles) == {"draft", "debug"}
    assert 1850 < roles["draft"] < 2150
    drawn = Counter(one.parents for one in found if one.role == "debug")
    assert set(drawn) == {(0,), (1,)}
    assert drawn[(0,)] / roles["debug"] == pytest.approx(0.35 / 0.40, abs=0.03)


def test_every_island_drafts_first_and_seeds_do_not_count() -> None:
    options = evolve.Options(2, 2)
    seed = made(0, 9.0, proposal=Proposal("seed", given="a" * 64))
    past = [seed]
    roles = []
    for ordinal in range(1, 8):
        proposal = evolve.propose(history(past), random.Random(ordinal), options)
        roles.append(proposal.role)
        past.append(made(ordinal, 1.0, proposal=proposal))
    assert roles[:4] == ["draft"] * 4
    assert "draft" not in roles[4:]
    assert [one.proposal.chain for one in past[1:5]] == [1, 0, 1, 0]


def test_under_way_drafts_are_not_issued_again_on_another_island() -> None:
    pending = [(one, Proposal("draft", chain=one)) for one in range(3)]
    one = evolve.propose(history([], window=8, pending=pending), random.Random(0), THREE)
    assert one == Proposal("draft", chain=0)  # nothing to build on yet


# A copy is asked once more, warmer


@pytest.mark.parametrize(("window", "lag"), [(1, 3), (3, 3), (4, 6)])
def test_a_copy_is_asked_once_more_warmer(window: int, lag: int) -> None:
    first = Proposal("refine", parents=(0,), shown=(1,), chain=2, temperature=0.7)
    past = [made(0), made(1, 2.0, "rows"), made(2, 3.0), made(3), made(4), made(5, proposal=first)]
    past[5] = made(5, proposal=first, duplicate_of=2)
    later = [made(one) for one in range(6, 6 + lag)]
    now = history([*past, *later], ordinal=5 + lag, window=window)
    again = evolve.propose(now, random.Random(0), THREE)
    assert again == dataclasses.replace(first, temperature=0.9)
    # Had the first one brought something new it would not be repeated.
    fresh = history([*past[:5], made(5, proposal=first), *later], ordinal=5 + lag, window=window)
    assert evolve.propose(fresh, random.Random(0), THREE).temperature in evolve.TEMPERATURES
    next_one = dataclasses.replace(now, ordinal=6 + lag)
    assert evolve.propose(next_one, random.Random(0), THREE).chain == (6 + lag) % 3


def test_a_copy_of_the_second_asking_is_let_go() -> None:
    """ShinkaEvolve's retries tested the same code again and again."""
    past: list[Attempt] = [made(0)]
    seen = []
    for ordinal in range(1, 9):
        proposal = evolve.propose(history(past, budget=32), random.Random(ordinal), THREE)
        seen.append(proposal.temperature)
        past.append(made(ordinal, 1.0, proposal=proposal, duplicate_of=0))
    warmer = {round(one + evolve.WARMER, 2) for one in evolve.TEMPERATURES}
    assert all(one in evolve.TEMPERATURES for one in seen[0::2])
    assert all(one in warmer for one in seen[1::2])


def test_a_copied_draft_is_not_asked_again() -> None:
    past = [made(0), made(1, proposal=Proposal("draft"), duplicate_of=0)]
    found = bred(history(past, budget=32), 100)
    assert all(one.temperature in evolve.TEMPERATURES for one in found)


# In the engine


def test_without_spread_all_weigh_the_same_and_noise_is_no_spread() -> None:
    past = [made(0, 1.0), made(1, 1.0, "rows"), made(2, 1.0, "staged")]
    assert evolve.weights(history(past, budget=32), past) == [0.5, 0.5, 0.5]
    assert spread([0.0, 0.001, 5.0], 0.02) == (0.001, 0.02)


@pytest.mark.parametrize("workers", [1, 8])
def test_the_number_of_workers_changes_nothing_across_migrations(
    tmp_path: Path, workers: int
) -> None:
    kinds = list(KINDS.values())

    def script(request: Any) -> str:
        pick = kinds[int(request.key[-2:], 16) % len(kinds)]
        return by_luck(request).replace("kernel() {", f"kernel() {{ {pick} ")

    digests = []
    for number in (2, workers):
        model, verifier = ScriptedModel(script), ToldVerifier()
        lab = Lab(
            tmp_path / str(number), evolve, evolve.Options(2, 1), model, verifier,
            budget=60, window=4, workers=number,
        )  # fmt: skip
        found = lab.run()
        digests.append(content_digest(found.events))
        past = ledgers.attempts(found.events, POOL[0].id, found.dir)
    assert digests[0] == digests[1]
    assert len({cell_of(one) for one in past}) > 2
    assert {one.proposal.role for one in past} >= {"draft", "refine", "rewrite", "cross"}
