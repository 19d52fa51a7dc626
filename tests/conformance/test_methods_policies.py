# SPDX-License-Identifier: Apache-2.0
"""What every search method must do, and what each one promises."""

from __future__ import annotations

import dataclasses
import importlib
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import Lab, ScriptedModel, ToldVerifier, attempt, fenced, kernel

from kernelcoder import ledger as ledgers
from kernelcoder.history import STOP, History
from kernelcoder.methods import base, best_of_n, metr, refine, scs
from kernelcoder.records import Attempt, Proposal, Timing

FOLDER = Path(base.__file__).parent
MEMBERS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
# Values for option fields by type: small, so that searches get past their first phase.
SAMPLE = {"int": 2, "bool": False, "str": ""}


def sample(module: Any) -> Any:
    fields = dataclasses.fields(module.Options)
    return module.Options(**{field.name: SAMPLE[str(field.type)] for field in fields})


def history(
    attempts: Sequence[Attempt] = (),
    ordinal: int | None = None,
    pending: Sequence[tuple[int, Proposal]] = (),
    window: int = 1,
) -> History:
    at = len(attempts) + len(pending) if ordinal is None else ordinal
    return History("core/relu", at, tuple(attempts), tuple(pending), 32, window, "eager")


def proposals(module: Any, options: Any, past: History, draws: int = 200) -> list[Any]:
    return [module.propose(past, random.Random(draw), options) for draw in range(draws)]


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


# METR (KC3)


def chi_square(counts: Counter[Any], expected: dict[Any, float], total: int) -> float:
    return sum((counts[key] - total * p) ** 2 / (total * p) for key, p in expected.items())


# 99 % points of the chi-square distribution by degrees of freedom (tables).
CHI_99 = {1: 6.635, 2: 9.210, 3: 11.345, 4: 13.277}


@pytest.mark.parametrize(("power", "floor"), [(100, 0), (200, 0), (50, 0), (100, 5), (0, 0)])
def test_parents_are_drawn_by_their_weight(power: int, floor: int) -> None:
    speeds = {0: 0.1, 2: 1.5, 3: 4.0}
    past = [attempt(ordinal, speed=speed) for ordinal, speed in speeds.items()]
    past.insert(1, attempt(1, "incorrect"))
    options = metr.Options(4, power, floor)
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
    options = metr.Options(3, 100, 5)
    for ordinal in range(3):
        past = [attempt(one) for one in range(ordinal)]
        assert set(proposals(metr, options, history(past))) == {Proposal("draft")}


def test_nothing_right_is_half_debugged_by_how_far_it_came() -> None:
    past = [attempt(0, "no_candidate"), attempt(1, "compile_error"), attempt(2, "incorrect")]
    found = Counter(proposals(metr, metr.Options(2, 100, 5), history(past), 4000))
    drafts = found[Proposal("draft")]
    assert 1850 < drafts < 2150
    assert set(found) == {Proposal("draft"), *(Proposal("debug", parents=(one,)) for one in (1, 2))}
    share = found[Proposal("debug", parents=(2,))] / (4000 - drafts)
    assert share == pytest.approx(0.35 / 0.40, abs=0.03)


def test_a_huge_outlier_leaves_the_others_their_floor() -> None:
    past = [attempt(0, speed=1.0), attempt(1, speed=1e6)]
    weights = metr.weights(history(past), past, metr.Options(1, 100, 5))
    assert weights == pytest.approx([0.05, 0.05, 1.0])


def test_speed_beyond_the_roof_counts_only_up_to_the_roof() -> None:
    fast = attempt(1, speed=20.0)
    timing = fast.verdict.timing
    assert isinstance(timing, Timing)
    beyond = dataclasses.replace(timing, roofline_fraction=4.0)
    clipped = dataclasses.replace(fast, verdict=dataclasses.replace(fast.verdict, timing=beyond))
    weights = metr.weights(history([clipped]), [clipped], metr.Options(1, 100, 0))
    assert weights == pytest.approx([1 / 5, 1.0])


def test_a_copy_has_no_second_lot() -> None:
    past = [
        attempt(0, speed=1.0),
        *(attempt(one, speed=1.0, duplicate_of=0) for one in range(1, 6)),
    ]
    found = Counter(
        p.parents for p in proposals(metr, metr.Options(1, 100, 0), history(past), 1000)
    )
    assert set(found) == {(), (0,)}
