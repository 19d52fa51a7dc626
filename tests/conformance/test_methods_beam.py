# SPDX-License-Identifier: Apache-2.0
"""The idea-first beam: ideas, rounds by ordinals, the best distinct kernels; KC4."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import POOL, Lab, ScriptedModel, ToldVerifier, attempt, by_luck

from kernelcoder import ledger as ledgers
from kernelcoder.contents import content_digest
from kernelcoder.history import History
from kernelcoder.methods import beam
from kernelcoder.records import Attempt, Proposal, Request

OPTIONS = beam.Options(3, 2, 2)
SEED = Proposal("seed", given="a" * 64)


def history(
    attempts: Sequence[Attempt],
    ordinal: int | None = None,
    window: int = 1,
    pending: Sequence[tuple[int, Proposal]] = (),
) -> History:
    at = len(attempts) + len(pending) if ordinal is None else ordinal
    return History("core/relu", at, tuple(attempts), tuple(pending), 32, window, "eager")


def propose(past: History, options: beam.Options = OPTIONS) -> Any:
    return beam.propose(past, random.Random(0), options)


def search(outcomes: Sequence[Any], window: int = 1) -> list[Proposal]:
    """The proposals of a search whose attempts come out as told: a speed, or a status."""
    proposals: list[Proposal] = []
    done: list[Attempt] = []
    for ordinal, outcome in enumerate(outcomes):
        seen = done[: max(0, ordinal - window + 1)]
        pending = [(one, proposals[one]) for one in range(len(seen), ordinal)]
        proposal = propose(history(seen, ordinal, window, pending))
        proposals.append(proposal)
        status = outcome if isinstance(outcome, str) else "verified"
        speed = 1.0 if isinstance(outcome, str) else outcome
        done.append(attempt(ordinal, status, speed, proposal))
    return proposals


def test_the_first_round_drafts_one_idea_each() -> None:
    found = search([1.0, 1.0, 1.0])
    assert found == [Proposal("draft", chain=one, step="ideas") for one in range(3)]


def test_rounds_expand_the_best_kernels_with_new_ideas() -> None:
    found = search([1.0, 3.0, 2.0, 1.0, 4.0, 1.0, 2.5, 1.0, 1.0, 1.0, 1.0])
    refine = dataclasses.replace
    first = [Proposal("refine", parents=(one,), step="ideas") for one in (1, 2)]
    assert found[3:7] == [*first, *(refine(one, chain=1) for one in first)]
    # 4.0 joins the beam, 3.0 stays in it and goes on with its third idea.
    second = [Proposal("refine", parents=(one,), step="ideas") for one in (4, 1)]
    assert found[7:] == [
        second[0],
        refine(second[1], chain=2),
        refine(second[0], chain=1),
        refine(second[1], chain=3),
    ]


def test_the_beam_changes_between_rounds_only() -> None:
    found = search([1.0, 3.0, 2.0, 9.0, 9.5, 8.0, 7.0])
    assert [one.parents for one in found[3:]] == [(1,), (2,), (1,), (2,)]


def test_failures_fill_the_beam_and_are_mended() -> None:
    found = search(["compile_error", 1.0, "incorrect", 1.0])
    assert found[3] == Proposal("refine", parents=(1,), step="ideas")
    found = search(["compile_error", 1.0, "incorrect", "incorrect", 1.0])
    assert found[4] == Proposal("debug", parents=(2,))


def test_nothing_right_mends_what_came_farthest_the_newest_of_equals() -> None:
    found = search(["incorrect", "incorrect", "compile_error", "incorrect", "incorrect"])
    assert found[3:] == [Proposal("debug", parents=(1,)), Proposal("debug", parents=(0,))]


def test_without_any_code_it_goes_on_drafting() -> None:
    found = search(["no_candidate"] * 6)
    assert found == [Proposal("draft", chain=one, step="ideas") for one in range(6)]


def test_copies_take_one_place_whatever_their_comments() -> None:
    """KernelAgent's beam kept the same kernel several times."""
    fast = attempt(0, speed=3.0)
    assert fast.candidate is not None
    same = dataclasses.replace(fast.candidate, source=f"// again\n{fast.candidate.source}\n\n")
    past = [
        fast,
        dataclasses.replace(attempt(1, speed=2.9), candidate=same),
        attempt(2, speed=1.0),
        dataclasses.replace(fast, ordinal=3, duplicate_of=0),
    ]
    assert [one.ordinal for one in beam.beam(history(past), past, 3)] == [0, 2]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_best_is_always_in_the_beam(width: int) -> None:
    rng = random.Random(width)
    past = []
    for ordinal in range(40):
        status = rng.choice(["verified", "incorrect", "compile_error", "no_candidate"])
        past.append(attempt(ordinal, status, rng.uniform(0.5, 3.0)))
        kept = beam.beam(history(past), past, width)
        best = history(past).best()
        assert len(kept) <= width
        assert best is None or kept[0] == best


def test_seeds_come_before_and_only_right_ones_are_expanded() -> None:
    wrong, right = attempt(0, "incorrect", proposal=SEED), attempt(1, speed=9.0, proposal=SEED)
    past = [wrong, right]
    for ordinal in range(2, 5):
        proposal = propose(history(past))
        assert proposal == Proposal("draft", chain=ordinal - 2, step="ideas")
        past.append(attempt(ordinal, "compile_error", proposal=proposal))
    assert propose(history(past)).parents == (1,)
    past[1] = dataclasses.replace(wrong, ordinal=1)
    assert propose(history(past)) == Proposal("debug", parents=(4,))


@pytest.mark.parametrize("window", [1, 2, 3, 8, 64])
def test_rounds_hold_for_every_window(window: int) -> None:
    rng = random.Random(window)
    found = search([rng.choice(["incorrect", rng.uniform(0.5, 3)]) for _ in range(40)], window)
    for ordinal, one in enumerate(found):
        begin = max(0, ordinal - (ordinal - 3) % 4)
        assert all(parent <= min(ordinal - window, begin - 1) for parent in one.parents)
    assert (window > 36) == all(one.role == "draft" for one in found)


# In the engine, with the recipe that asks for ideas


def with_ideas(request: Request) -> str:
    """Ideas where they are asked for, kernels elsewhere."""
    if request.role != "ideas":
        return by_luck(request)
    which = request.key[:4]
    ideas = [
        f"split the sum over several accumulators {which}",
        f"stage rows through a buffer near the core {which}",
        f"fuse both passes over memory {which}",
    ]
    return json.dumps({"ideas": ideas})


def test_it_runs_end_to_end_and_ideas_are_asked_once_per_kernel(tmp_path: Path) -> None:
    digests = []
    for workers in (1, 8):
        model = ScriptedModel(with_ideas)
        lab = Lab(
            tmp_path / str(workers), beam, OPTIONS, model, ToldVerifier(), budget=15, window=2,
            workers=workers,
        )  # fmt: skip
        found = lab.run()
        digests.append(content_digest(found.events))
    assert digests[0] == digests[1]
    past = ledgers.attempts(found.events, POOL[0].id, found.dir)
    assert {one.proposal.role for one in past} >= {"draft", "refine"}
    asked = [one for one in model.requests if one.role == "ideas"]
    started = {one.proposal.parents for one in past if one.proposal.step == "ideas"}
    assert len(asked) == len({one.digest for one in asked}) == len(started)
    written = [one for one in model.requests if one.role in ("draft", "refine")]
    told = ["split the sum", "stage rows", "fuse both"]
    said = [[text in one.messages[-1].content for text in told] for one in written]
    assert all(sum(one) == 1 for one in said)
    drafts = [row for row, one in zip(said, written, strict=True) if one.role == "draft"]
    assert sorted(drafts[:3], reverse=True) == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
