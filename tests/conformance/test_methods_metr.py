# SPDX-License-Identifier: Apache-2.0
"""METR (KC3): drafts first, then parents drawn by their weight."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import Any

import pytest
from doubles import attempt
from histories import history, proposals, seeds

from kernelcoder.methods import metr
from kernelcoder.records import Proposal, Timing


def chi_square(counts: Counter[Any], expected: dict[Any, float], total: int) -> float:
    return sum((counts[key] - total * p) ** 2 / (total * p) for key, p in expected.items())


# 99 % points of the chi-square distribution by degrees of freedom (tables).
CHI_99 = {1: 6.635, 2: 9.210, 3: 11.345, 4: 13.277}


@pytest.mark.parametrize(("power", "floor"), [(100, 0), (200, 0), (50, 0), (100, 5), (0, 0)])
def test_parents_are_drawn_by_their_weight(power: int, floor: int) -> None:
    speeds = {0: 0.1, 2: 1.5, 3: 4.0}
    past = [attempt(ordinal, speed=speed) for ordinal, speed in speeds.items()]
    past.insert(1, attempt(1, "incorrect"))
    options = metr.Options(4, power, floor, 0, 200)
    drawn: Counter[Any] = Counter()
    for draw in range(10_000):
        proposal = metr.propose(history(past), random.Random(draw), options)
        drawn[proposal.parents[0] if proposal.parents else "reference"] += 1
        assert proposal.role == ("refine" if proposal.parents else "draft")
    raw = {"reference": 1.0} | {one: speed ** (power / 100) for one, speed in speeds.items()}
    top = max(raw.values())
    floored = {key: max(weight, top * floor / 100) for key, weight in raw.items()}
    expected = {key: weight / sum(floored.values()) for key, weight in floored.items()}
    assert 1 not in drawn
    assert chi_square(drawn, expected, 10_000) < CHI_99[len(expected) - 1]


def test_the_first_proposals_are_drafts() -> None:
    options = metr.Options(3, 100, 5, 0, 200)
    for ordinal in range(3):
        past = [attempt(one) for one in range(ordinal)]
        assert set(proposals(metr, options, history(past))) == {Proposal("draft")}


def test_nothing_right_is_half_debugged_by_how_far_it_came() -> None:
    past = [attempt(0, "no_candidate"), attempt(1, "compile_error"), attempt(2, "incorrect")]
    found = Counter(proposals(metr, metr.Options(2, 100, 5, 0, 200), history(past), 4000))
    drafts = found[Proposal("draft")]
    assert 1850 < drafts < 2150
    assert set(found) == {Proposal("draft"), *(Proposal("debug", parents=(one,)) for one in (1, 2))}
    share = found[Proposal("debug", parents=(2,))] / (4000 - drafts)
    assert share == pytest.approx(0.35 / 0.40, abs=0.03)


def test_seeds_that_failed_are_not_mended() -> None:
    past = [*seeds("incorrect", "incorrect"), attempt(2, "incorrect")]
    found = set(proposals(metr, metr.Options(1, 100, 5, 0, 200), history(past)))
    assert found == {Proposal("draft"), Proposal("debug", parents=(2,))}


def test_a_huge_outlier_leaves_the_others_their_floor() -> None:
    past = [attempt(0, speed=1.0), attempt(1, speed=1e6)]
    weights = metr.weights(history(past), past, metr.Options(1, 100, 5, 0, 200))
    assert weights == pytest.approx([0.05, 0.05, 1.0])


def test_speed_beyond_the_roof_counts_only_up_to_the_roof() -> None:
    fast = attempt(1, speed=20.0)
    timing = fast.verdict.timing
    assert isinstance(timing, Timing)
    beyond = dataclasses.replace(timing, roofline_fraction=4.0)
    clipped = dataclasses.replace(fast, verdict=dataclasses.replace(fast.verdict, timing=beyond))
    weights = metr.weights(history([clipped]), [clipped], metr.Options(1, 100, 0, 0, 200))
    assert weights == pytest.approx([1 / 5, 1.0])


def test_kernels_of_equal_code_share_one_lot() -> None:
    one, other = attempt(0, speed=2.0), attempt(2, speed=2.0)
    assert one.candidate is not None
    source = one.candidate.source.replace("outcome", "result") + "  // the same\n"
    same = dataclasses.replace(
        attempt(1, speed=2.0), candidate=dataclasses.replace(one.candidate, source=source)
    )
    options = metr.Options(1, 100, 0, 0, 200)
    found = metr.weights(history([one, same, other]), [one, same, other], options)
    assert found == pytest.approx([0.5, 0.5, 0.5, 1.0])


def test_the_power_rises_over_the_ramp() -> None:
    options = metr.Options(2, 50, 0, 4, 200)
    past = [attempt(0, speed=1.0), attempt(1, speed=4.0)]
    powers = []
    for _ in range(7):
        powers.append(metr.power(history(past), options))
        past.append(attempt(len(past), "incorrect"))
    assert powers == [0.5, 0.875, 1.25, 1.625, 2.0, 2.0, 2.0]
    assert metr.power(history(past), metr.Options(2, 50, 0, 0, 200)) == 0.5
    late = metr.weights(history(past), past[:2], options)
    assert late == pytest.approx([1 / 16, 1 / 16, 1.0])
    with_seed = [*seeds("verified"), *(attempt(1 + at) for at in range(3))]
    assert metr.power(history(with_seed), options) == 0.875


def test_a_copy_has_no_second_lot() -> None:
    past = [
        attempt(0, speed=1.0),
        *(attempt(one, speed=1.0, duplicate_of=0) for one in range(1, 6)),
    ]
    found = Counter(
        p.parents for p in proposals(metr, metr.Options(1, 100, 0, 0, 200), history(past), 1000)
    )
    assert set(found) == {(), (0,)}
