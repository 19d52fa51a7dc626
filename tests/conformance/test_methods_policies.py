# SPDX-License-Identifier: Apache-2.0
"""What every search method must do, and what each one promises."""

from __future__ import annotations

import dataclasses
import importlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import Lab, ScriptedModel, ToldVerifier, attempt, fenced, kernel
from histories import PROBE, SEED, history, proposals, seeds

from kernelcoder import ledger as ledgers
from kernelcoder.history import STOP
from kernelcoder.methods import base, beam, best_of_n, evolve, metr, refine, scs
from kernelcoder.prompts.templates import fill
from kernelcoder.records import Attempt, Proposal

FOLDER = Path(base.__file__).parent
MEMBERS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
# Values for option fields by type: small, so that searches get past their first phase.
SAMPLE = {"int": 2, "bool": False, "str": ""}


def sample(module: Any) -> Any:
    fields = dataclasses.fields(module.Options)
    return module.Options(**{field.name: SAMPLE[str(field.type)] for field in fields})


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"kernelcoder.methods.{request.param}")


def test_a_method_has_its_parts(member: Any) -> None:
    assert isinstance(member.draft_only, bool)
    assert isinstance(member.anytime, bool)
    defaults = (dataclasses.MISSING, dataclasses.MISSING)
    fields = dataclasses.fields(member.Options)
    assert all((field.default, field.default_factory) == defaults for field in fields)


@pytest.mark.parametrize("status", ["verified", "incorrect", "no_candidate", "infra_error"])
def test_everything_right_or_everything_wrong(member: Any, status: str) -> None:
    options, past = sample(member), []
    for ordinal in range(10):
        proposal = member.propose(history(past), random.Random(ordinal), options)
        if proposal is STOP:
            return
        assert all(parent < ordinal for parent in (*proposal.parents, *proposal.shown))
        past.append(attempt(ordinal, status, 1.0 + ordinal, proposal))


def test_the_same_randomness_gives_the_same_proposal(member: Any) -> None:
    past = history([attempt(0), attempt(1, "incorrect"), attempt(2, speed=2.0)])
    again = [member.propose(past, random.Random(7), sample(member)) for _ in range(3)]
    assert again[0] == again[1] == again[2]


def test_no_global_randomness(member: Any) -> None:
    past = history([attempt(0), attempt(1, "incorrect"), attempt(2, speed=2.0)])
    random.seed(1)
    state = random.getstate()
    first = proposals(member, sample(member), past, 20)
    assert random.getstate() == state
    random.seed(2)
    assert proposals(member, sample(member), past, 20) == first


def test_draft_only_methods_do_not_look(member: Any) -> None:
    if not member.draft_only:
        return
    past = [attempt(ordinal) for ordinal in range(5)]
    seen = member.propose(history(past), random.Random(0), sample(member))
    blind = member.propose(history((), ordinal=5), random.Random(0), sample(member))
    assert seen == blind


@pytest.mark.parametrize("window", [1, 3, 8])
def test_the_best_never_gets_worse_and_parents_are_seen(
    member: Any, window: int, tmp_path: Path
) -> None:
    lab = Lab(
        tmp_path, member, sample(member), ScriptedModel(), ToldVerifier(), budget=20, window=window
    )
    ledger = lab.run()
    for event in ledger.events:
        if event.kind == "ask":
            assert event.ordinal is not None
            proposal, visible = event.data["proposal"], event.ordinal - event.data["window"]
            assert all(one <= visible for one in proposal["parents"] + proposal["shown"])
    found = ledgers.attempts(ledger.events, "core/relu", ledger.dir)
    best: list[float] = []
    for one in found:
        best.append(max([one.speedup("eager") or 0.0, *best]))
    assert best == sorted(best)


# base and best-of-N (KC1)


def test_base_asks_once() -> None:
    assert base.propose(history(), random.Random(0), base.Options()) == Proposal("draft")
    assert base.propose(history([attempt(0)]), random.Random(0), base.Options()) is STOP


def test_the_fastest_right_sample_is_selected(tmp_path: Path) -> None:
    outcomes = ["verified 1.2", "incorrect", "verified 2.5", "compile_error", "verified 0.4"]
    model = ScriptedModel(lambda request: fenced(kernel(outcomes.pop(0), str(len(outcomes)))))
    lab = Lab(
        tmp_path, best_of_n, best_of_n.Options(False), model, ToldVerifier(), budget=5, workers=1
    )
    ledger = lab.run()
    select = next(event.data for event in ledger.events if event.kind == "select")
    chosen = ledgers.attempts(ledger.events, "core/relu", ledger.dir)[select["chosen"]]
    assert chosen.candidate is not None
    assert chosen.candidate.source.startswith("// outcome: verified 2.5")
    assert len({request.messages for request in model.requests}) == 1


def test_hints_go_round_robin() -> None:
    count = len(best_of_n.STRATEGIES)
    hints = [
        best_of_n.propose(history(ordinal=ordinal), random.Random(0), best_of_n.Options(True)).hint
        for ordinal in range(2 * count)
    ]
    assert hints == [*best_of_n.STRATEGIES] * 2
    plain = best_of_n.propose(history(ordinal=3), random.Random(0), best_of_n.Options(False))
    assert plain == Proposal("draft")


# Seeds of a memory: sources tried as they are, before the method's own proposals


@pytest.mark.parametrize("module", [base, beam, best_of_n, evolve, metr, refine, scs])
@pytest.mark.parametrize("window", [1, 2, 8])
def test_a_method_begins_with_drafts_when_seeds_failed(module: Any, window: int) -> None:
    done = seeds("incorrect", "compile_error")[: max(0, 3 - window)]
    pending = [(at, (SEED, PROBE)[at]) for at in range(len(done), 2)]
    past = history(done, pending=pending, window=window)
    for draw in range(20):
        first = module.propose(past, random.Random(draw), sample(module))
        assert isinstance(first, Proposal)
        assert first.role == "draft"


@pytest.mark.parametrize("status", ["verified", "incorrect"])
def test_seeds_change_nothing_of_what_drafts_are_made(status: str) -> None:
    past = seeds(status, status)
    assert proposals(base, base.Options(), history(past), 1) == [Proposal("draft")]
    done = [*past, attempt(2)]
    assert proposals(base, base.Options(), history(done), 1) == [STOP]
    under_way = history(past, pending=[(2, Proposal("draft"))], window=2)
    assert proposals(base, base.Options(), under_way, 1) == [STOP]
    for more in range(3):
        drafts = [attempt(2 + at) for at in range(more)]
        found = best_of_n.propose(
            history([*past, *drafts]), random.Random(0), best_of_n.Options(True)
        )
        assert found.hint == best_of_n.STRATEGIES[more]
    options = metr.Options(2, 100, 5, 0, 200)
    for more in range(2):
        drafts = [attempt(2 + at) for at in range(more)]
        assert set(proposals(metr, options, history([*past, *drafts]))) == {Proposal("draft")}


def test_right_seeds_are_parents_like_any_other() -> None:
    past = [*seeds("verified"), attempt(1, speed=1.0)]
    found = proposals(metr, metr.Options(1, 100, 0, 0, 200), history(past), 300)
    assert {one.parents for one in found} == {(), (0,), (1,)}
    assert proposals(scs, scs.Options(2), history(past), 1)[0].shown == (0, 1)
    assert focus(past).parents == (0,)


def test_a_right_seed_is_refined_at_once_and_a_wrong_one_passed_over() -> None:
    assert focus(seeds("verified")) == Proposal("refine", parents=(0,))
    assert focus(seeds("incorrect")) == Proposal("draft")
    past = [*seeds("incorrect"), attempt(1, "compile_error")]
    assert focus(past) == Proposal("debug", parents=(1,))
    again = [*seeds("verified"), attempt(1, speed=1.0)]
    assert focus(again) == Proposal("refine", parents=(0,))  # a draft right after it is kin


# refine (KC2)

BEST = refine.Options(1, False, 0)


def focus(attempts: Sequence[Attempt], options: refine.Options = BEST) -> Any:
    return refine.propose(history(attempts), random.Random(0), options)


def test_the_parent_is_the_fastest_right_kernel() -> None:
    past = [attempt(0, speed=1.0), attempt(1, speed=3.0), attempt(2, speed=2.0)]
    assert focus([*past, attempt(3, "incorrect")]) == Proposal("refine", parents=(1,))


def test_a_gain_within_the_noise_does_not_move_the_focus() -> None:
    assert focus([attempt(0, speed=1.0), attempt(1, speed=1.01)]).parents == (0,)
    assert focus([attempt(0, speed=1.0), attempt(1, speed=1.05)]).parents == (1,)


def test_without_a_right_kernel_the_failure_that_came_farthest_is_mended() -> None:
    past = [attempt(0, "compile_error"), attempt(1, "incorrect"), attempt(2, "compile_error")]
    assert focus(past) == Proposal("debug", parents=(1,))
    newest = [attempt(0, "incorrect"), attempt(1, "incorrect")]
    assert focus(newest) == Proposal("debug", parents=(1,))


def test_a_reply_without_code_is_no_parent() -> None:
    assert focus([attempt(0, "no_candidate")]) == Proposal("draft")


def test_focus_last_takes_the_newest() -> None:
    past = [attempt(0, speed=3.0), attempt(1, "incorrect")]
    assert focus(past, refine.Options(1, True, 0)) == Proposal("debug", parents=(1,))


def test_chains_do_not_see_each_other() -> None:
    options = refine.Options(2, False, 0)
    past: list[Attempt] = []
    for ordinal in range(8):
        proposal = refine.propose(history(past), random.Random(0), options)
        assert proposal.chain == ordinal % 2
        assert all(parent % 2 == ordinal % 2 for parent in proposal.parents)
        past.append(attempt(ordinal, speed=1.0 + ordinal, proposal=proposal))
    assert [one.proposal.role for one in past] == ["draft"] * 2 + ["refine"] * 6


def test_patience_restarts_the_chain_and_forgets_the_old_focus() -> None:
    options = refine.Options(1, False, 2)
    past: list[Attempt] = []
    roles = []
    for ordinal in range(7):
        proposal = refine.propose(history(past), random.Random(0), options)
        roles.append((proposal.role, proposal.parents))
        past.append(attempt(ordinal, speed=5.0 if ordinal == 0 else 1.0, proposal=proposal))
    assert roles[:4] == [("draft", ()), ("refine", (0,)), ("refine", (0,)), ("draft", ())]
    assert roles[4:] == [("refine", (3,)), ("refine", (3,)), ("draft", ())]


def test_gains_reset_the_patience() -> None:
    options = refine.Options(1, False, 2)
    past: list[Attempt] = []
    for ordinal in range(12):
        proposal = refine.propose(history(past), random.Random(0), options)
        assert (proposal.role == "draft") == (ordinal == 0)
        past.append(attempt(ordinal, speed=1.5**ordinal, proposal=proposal))


# sequential conditioned sampling


def test_scs_shows_a_sample_of_distinct_right_kernels() -> None:
    options = scs.Options(2)
    past = [attempt(0), attempt(1, "incorrect"), attempt(2), attempt(3), attempt(4, duplicate_of=0)]
    found = proposals(scs, options, history(past), 300)
    assert {proposal.role for proposal in found} == {"rewrite"}
    assert {proposal.shown for proposal in found} == {(0, 2), (0, 3), (2, 3)}
    assert scs.propose(history(past[1:2]), random.Random(0), options) == Proposal("draft")
    single = scs.propose(history(past[:1]), random.Random(0), options)
    assert single.shown == (0,)


def test_a_rewrite_is_asked_to_be_different_and_faster() -> None:
    asked = fill("roles/rewrite")
    assert "another approach" in asked
    assert "faster" in asked
