# SPDX-License-Identifier: Apache-2.0
"""AB-MCTS: the draw, its posteriors, and branching that follows the landscape."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles import Lab, ScriptedModel, ToldVerifier, attempt
from landscapes import always, attempts, by_chance, lineage, search, view

from kernelcoder.methods import abmcts, refine
from kernelcoder.methods.trees.tree import grow
from kernelcoder.records import Attempt, Proposal

PLAIN = abmcts.Options(debug_depth=3)
CHI_99 = {1: 6.635, 2: 9.210, 3: 11.345}  # 99 % points of the chi-square distribution (tables)


def child(ordinal: int, parent: int, status: str = "verified", speed: float = 1.0) -> Attempt:
    return attempt(ordinal, status, speed, Proposal("refine", parents=(parent,)))


def test_the_posteriors_are_the_formula() -> None:
    past = [attempt(0, speed=1.0), attempt(1, "no_candidate"), child(2, 0), child(3, 2)]
    root = grow(view(past, pending=[(4, Proposal("draft"))]), 3)
    assert abmcts.new_child(root) == pytest.approx((0.5 + 0.75 + 0.0, 0.5 + 0.25 + 1.0))
    assert abmcts.subtree(root.children[0]) == pytest.approx((0.5 + 3 * 0.75, 0.5 + 3 * 0.25))


def test_seeds_say_nothing_of_the_next_draft() -> None:
    seeds = [attempt(0, "incorrect", None, Proposal("seed")), attempt(1, proposal=Proposal("seed"))]
    root = grow(view([*seeds, attempt(2, speed=1.0)]), 3)
    assert abmcts.new_child(root) == pytest.approx((0.5 + 0.75, 0.5 + 0.25))
    assert [child.closed for child in root.children] == [True, False, False]


def largest(parameters: Sequence[tuple[float, float]], cells: int = 4000) -> list[float]:
    """Chance that each of several independent Beta variates is the largest: the integral of its
    density times the others' distribution functions, by sums over a grid of mid points."""
    width = 1.0 / cells
    at = [(one + 0.5) * width for one in range(cells)]
    masses, below = [], []
    for a, b in parameters:
        raw = [x ** (a - 1) * (1 - x) ** (b - 1) for x in at]
        total = sum(raw)
        mass = [one / total for one in raw]
        running, cdf = 0.0, []
        for one in mass:
            cdf.append(running + one / 2)
            running += one
        masses.append(mass)
        below.append(cdf)
    chances = []
    for mine, mass in enumerate(masses):
        chance = 0.0
        for place, one in enumerate(mass):
            for other, cdf in enumerate(below):
                one *= cdf[place] if other != mine else 1.0
            chance += one
        chances.append(chance)
    return chances


def test_the_grid_knows_a_case_that_can_be_done_by_hand() -> None:
    # P(X > Y) for X ~ Beta(2, 1), Y ~ Beta(1, 1) is E[X] = 2/3.
    assert largest([(2.0, 1.0), (1.0, 1.0)]) == pytest.approx([2 / 3, 1 / 3], abs=1e-3)


def test_the_draw_matches_its_chances() -> None:
    past = [attempt(0, speed=1.0), attempt(1, "incorrect"), attempt(2, speed=1.3)]
    past += [child(3, 0, speed=1.2), child(4, 2, "compile_error"), child(5, 0, speed=1.1)]
    root = grow(view(past), 3)
    expected = largest([abmcts.new_child(root), *map(abmcts.subtree, root.children)])
    count = 10_000
    drawn: Counter[int] = Counter()
    rng = random.Random(0)
    for _ in range(count):
        found = abmcts.draw(root, root.children, rng)
        drawn[-1 if found is None else found.ordinal] += 1
    pairs = zip((-1, 0, 1, 2), expected, strict=True)
    assert sum((drawn[one] - count * p) ** 2 / (count * p) for one, p in pairs) < CHI_99[3]
    off = [drawn[one] / count for one in (-1, 0, 1, 2)]
    assert max(abs(one - p) for one, p in zip(off, reversed(expected), strict=True)) > 0.02


def alike(ordinal: int, proposal: Proposal, past: Sequence[Attempt]) -> tuple[str, float | None]:
    """Every draft is equally right, and working on it breaks it."""
    return ("compile_error", None) if proposal.parents else ("verified", 1.0)


def one_good(ordinal: int, proposal: Proposal, past: Sequence[Attempt]) -> tuple[str, float | None]:
    """The first draft is right and every step below it gains; all others are wrong."""
    line = (*lineage(proposal, past), ordinal)
    return ("verified", 2.0 * 1.1 ** len(line)) if line[0] == 0 else ("compile_error", None)


def test_it_is_wide_where_children_are_equal_and_deep_where_one_is_good() -> None:
    wide, deep = [], []
    for seed in range(5):
        made = attempts(abmcts, PLAIN, alike, 48, seed=seed)
        wide.append(abmcts.summary(view(made), PLAIN))
        made = attempts(abmcts, PLAIN, one_good, 48, seed=seed)
        deep.append(abmcts.summary(view(made), PLAIN))
    assert min(one["root_children"] for one in wide) > 2 * max(one["root_children"] for one in deep)
    assert min(one["deepest"] for one in deep) > max(one["deepest"] for one in wide)


def planted(ordinal: int, proposal: Proposal, past: Sequence[Attempt]) -> tuple[str, float | None]:
    """The first draft is fast and leads nowhere, behind the slower second one every step gains, all
    others are wrong."""
    line = (*lineage(proposal, past), ordinal)
    drafts = [one.ordinal for one in past if one.proposal.role == "draft"]
    place = [*drafts, ordinal].index(line[0])
    if place == 0:
        return "verified", 2.0 if len(line) == 1 else 0.8
    return ("verified", 1.2 * 1.5 ** (len(line) - 1)) if place == 1 else ("compile_error", None)


def test_it_finds_what_greed_misses() -> None:
    greedy = refine.Options(1, False, 0)
    missed = max(one.speedup("eager") or 0.0 for one in attempts(refine, greedy, planted, 100))
    assert missed == 2.0
    for seed in range(3):
        made = attempts(abmcts, PLAIN, planted, 100, seed=seed)
        assert max(one.speedup("eager") or 0.0 for one in made) > 5.0


@pytest.mark.parametrize("status", ["verified", "incorrect", "no_candidate", "compile_error"])
@pytest.mark.parametrize("window", [1, 8])
def test_the_tree_branches_and_the_budget_is_spent(status: str, window: int) -> None:
    made = attempts(abmcts, PLAIN, always(status), 50, window=window)
    assert len(made) == 50
    assert len(grow(view(made[:10]), 3).children) > 1


def test_closed_kernels_are_never_worked_on() -> None:
    for seed in range(4):
        for history, made in search(abmcts, PLAIN, by_chance(seed), 60, window=4, seed=seed):
            seen = {one.ordinal: one for one in history.attempts}
            for one in made.proposal.parents:
                parent = seen[one]
                assert parent.candidate is not None
                right = parent.verdict.verified
                assert made.proposal.role == ("refine" if right else "debug")
    copy = dataclasses.replace(attempt(1), duplicate_of=0)
    found = {
        abmcts.propose(view([attempt(0), copy]), random.Random(seed), PLAIN).parents
        for seed in range(200)
    }
    assert found == {(), (0,)}


def test_workers_do_not_change_the_search(tmp_path: Path) -> None:
    asked = []
    for workers in (1, 8):
        lab = Lab(
            tmp_path / str(workers),
            abmcts,
            PLAIN,
            ScriptedModel(dawdle_s=0.004),
            ToldVerifier(dawdle_s=0.004),
            budget=40,
            window=8,
            workers=workers,
        )
        asks = [event for event in lab.run().events if event.kind == "ask"]
        asked.append([event.data for event in sorted(asks, key=lambda one: one.ordinal or 0)])
    assert asked[0] == asked[1]
    assert any(ask["proposal"]["parents"] for ask in asked[0])
