# SPDX-License-Identifier: Apache-2.0
"""LATS: the rule, the tree's shape, pruning, notes that reach the prompt, the learnt prior."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles import Lab, ScriptedModel, ToldVerifier, attempt, fenced, kernel
from landscapes import always, attempts, by_chance, lineage, search, view

from kernelcoder import ledger as ledgers
from kernelcoder.methods import best_of_n, lats, refine
from kernelcoder.methods.prm import learner
from kernelcoder.methods.trees import notes, puct
from kernelcoder.methods.trees.tree import grow, statistics
from kernelcoder.records import Attempt, CaseResult, Proposal, Request, Verdict

PLAIN = lats.Options(
    explore_percent=100,
    widen_percent=150,
    debug_depth=3,
    prune_percent=60,
    prune_after=4,
    notes=True,
    notes_drafts=False,
    prm=False,
)


def child(ordinal: int, parent: int, status: str = "verified", speed: float = 1.0) -> Attempt:
    role = "refine" if status == "verified" else "debug"
    return attempt(ordinal, status, speed, Proposal(role, parents=(parent,)))  # type: ignore[arg-type]


def shaped(speed: float) -> float:
    return 0.5 + 0.5 / (1.0 + math.exp(-math.log(speed) / 0.35))


# the rule


def test_the_score_is_the_formula() -> None:
    past = [attempt(0, speed=1.0), attempt(1, speed=2.0), child(2, 0, speed=4.0)]
    pending = [(3, Proposal("refine", parents=(0,)))]
    root = grow(view(past, pending=pending), 3)
    first, second = root.children
    one, two, four = shaped(1.0), shaped(2.0), shaped(4.0)
    assert first.quality == pytest.approx(0.5 * (one + four + 0.0) / 3 + 0.5 * four)
    assert second.quality == pytest.approx(two)
    found = puct.scores(root.children, [0.25, 0.75], 1.4)
    assert found[0] == pytest.approx(first.quality + 1.4 * 0.25 * math.sqrt(4) / (1 + 3))
    assert found[1] == pytest.approx(second.quality + 1.4 * 0.75 * math.sqrt(4) / (1 + 1))


def test_widening_is_the_formula() -> None:
    expected = {0: 2, 1: 2, 2: 3, 4: 3, 5: 4, 9: 5, 10: 5, 16: 6, 64: 12}
    assert {n: puct.allowed(n, 1.5) for n in expected} == expected
    assert {puct.allowed(n, 0.0) for n in range(100)} == {2}


def test_the_walk_takes_the_best_score_at_every_level() -> None:
    for seed in range(5):
        for history, made in search(lats, PLAIN, by_chance(seed), 60):
            root = grow(history, 3)
            line = lineage(made.proposal, history.attempts)
            node = root
            for ordinal in line:
                cut = puct.low(node, 0.6, 4)
                ways = [c for c in node.children if not c.closed and c.ordinal not in cut]
                assert len(node.children) >= puct.allowed(node.visits, 1.5)
                found = puct.scores(ways, puct.uniform(ways), 1.0)
                assert ways[found.index(max(found))].ordinal == ordinal
                node = next(c for c in node.children if c.ordinal == ordinal)
            open_ways = [c for c in node.children if not c.closed]
            assert not open_ways or len(node.children) < puct.allowed(node.visits, 1.5)


# the shape


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("status", ["verified", "incorrect"])
def test_the_tree_branches(window: int, status: str) -> None:
    made = attempts(lats, PLAIN, always(status), 10, window=window)
    root = grow(view(made), 3)
    assert len(root.children) > 1
    counts = statistics(grow(view(attempts(lats, PLAIN, always(status), 40)), 3))
    assert counts["root_children"] > 1 and counts["widest"] > 1 and counts["deepest"] > 1


@pytest.mark.parametrize("status", ["verified", "incorrect", "no_candidate", "compile_error"])
@pytest.mark.parametrize("window", [1, 8])
def test_the_budget_is_spent(status: str, window: int) -> None:
    assert len(attempts(lats, PLAIN, always(status), 50, window=window)) == 50


def test_right_is_refined_and_wrong_repaired() -> None:
    for seed in range(4):
        for history, made in search(lats, PLAIN, by_chance(seed), 50):
            seen = {one.ordinal: one for one in history.attempts}
            if made.proposal.parents:
                parent = seen[made.proposal.parents[0]]
                assert parent.candidate is not None
                right = parent.verdict.verified
                assert made.proposal.role == ("refine" if right else "debug")
            else:
                assert made.proposal.role == "draft"


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_repairs_in_a_row_close_a_branch(depth: int) -> None:
    options = dataclasses.replace(PLAIN, debug_depth=depth, widen_percent=0)
    made = attempts(lats, options, always("incorrect"), 40)
    lengths = [len(lineage(one.proposal, made)) for one in made]
    assert max(lengths) == depth
    assert all(one.proposal.role == "draft" for one in made) == (depth == 0)


def test_a_repair_that_worked_opens_the_branch_again() -> None:
    line = [attempt(0, "incorrect"), child(1, 0, "incorrect"), child(2, 1, "incorrect")]
    mended = attempt(3, "verified", 1.0, Proposal("debug", parents=(2,)))
    broken = attempt(4, "incorrect", None, Proposal("refine", parents=(3,)))
    *_, last = grow(view([*line, child(3, 2, "incorrect")]), 3).walk()
    assert last.debugged == 3 and last.closed
    *_, last = grow(view([*line, mended, broken]), 3).walk()
    assert last.debugged == 0 and not last.closed


def test_seeds_are_built_on_if_right_and_are_no_drafts() -> None:
    wrong = attempt(0, "incorrect", None, Proposal("seed"))
    right = attempt(1, "verified", 9.0, Proposal("probe"))
    root = grow(view([wrong, right]), 3)
    assert [child.closed for child in root.children] == [True, False]
    found = lats.propose(view([wrong, right]), random.Random(0), PLAIN)
    assert found == Proposal("draft")  # two seeds are none of the two children it may have
    drafts = [attempt(2, speed=1.0), attempt(3, speed=1.0), attempt(4, speed=1.0)]
    found = lats.propose(view([wrong, right, *drafts[:2]]), random.Random(0), PLAIN)
    assert found.role == "draft"
    options = dataclasses.replace(PLAIN, widen_percent=0)
    found = lats.propose(view([wrong, right, *drafts]), random.Random(0), options)
    assert found == Proposal("refine", parents=(1,))


def test_a_copy_counts_as_a_visit_that_found_nothing() -> None:
    copy = dataclasses.replace(child(1, 0, speed=4.0), duplicate_of=0)
    node = grow(view([attempt(0, speed=4.0), copy]), 3).children[0]
    assert node.children[0].closed and node.children[0].value == 0.0
    assert node.quality == pytest.approx(0.75 * shaped(4.0))


def planted(ordinal: int, proposal: Proposal, past: Sequence[Attempt]) -> tuple[str, float]:
    """Draft 0 is fast and leads nowhere. Behind draft 1, slower, is the best leaf, two steps on."""
    line = lineage(proposal, past)
    if not line:
        return "verified", 2.0 if ordinal == 0 else 1.2
    return "verified", (1.5, 5.0, 4.0)[min(2, len(line) - 1)] if line[0] == 1 else 1.9


def test_it_finds_what_greed_misses() -> None:
    found = max(one.speedup("eager") or 0.0 for one in attempts(lats, PLAIN, planted, 200))
    greedy = refine.Options(1, False, 0)
    missed = max(one.speedup("eager") or 0.0 for one in attempts(refine, greedy, planted, 200))
    assert missed == 2.0
    assert found == 5.0


# parallel


def test_pending_proposals_spread_out() -> None:
    past = [attempt(one, speed=1.0 + one / 100) for one in range(4)]
    pending: list[tuple[int, Proposal]] = []
    for ordinal in range(4, 12):
        proposal = lats.propose(view(past, pending=pending), random.Random(0), PLAIN)
        pending.append((ordinal, proposal))
    assert len({proposal.parents for _, proposal in pending}) > 3


@pytest.mark.parametrize("prm", [False, True])
def test_workers_do_not_change_the_search(prm: bool, tmp_path: Path) -> None:
    asked = []
    for workers in (1, 8):
        lab = Lab(
            tmp_path / str(workers),
            lats,
            dataclasses.replace(PLAIN, prm=prm),
            ScriptedModel(dawdle_s=0.004),
            ToldVerifier(dawdle_s=0.004),
            budget=48,
            window=8,
            workers=workers,
        )
        events = lab.run().events
        asks = [event for event in events if event.kind == "ask"]
        asked.append([event.data for event in sorted(asks, key=lambda one: one.ordinal or 0)])
    assert asked[0] == asked[1]
    assert any(ask["proposal"]["parents"] for ask in asked[0])


# pruning


def lopsided(ordinal: int, proposal: Proposal, past: Sequence[Attempt]) -> tuple[str, float | None]:
    """Below draft 0 everything is wrong, below the others all is well."""
    line = (*lineage(proposal, past), ordinal)
    return ("compile_error", None) if line[0] == 0 else ("verified", 2.0)


def test_a_low_subtree_is_pruned_and_counted() -> None:
    options = dataclasses.replace(PLAIN, explore_percent=1000, prune_after=2)  # curious
    made = attempts(lats, options, lopsided, 80)
    counts = lats.summary(view(made), options)
    assert counts["pruned"] == 1 and counts["in_pruned"] == 2 and counts["attempts"] == 80
    never = dataclasses.replace(options, prune_percent=0)
    without = attempts(lats, never, lopsided, 80)
    assert lats.summary(view(without), never)["pruned"] == 0
    wasted = [sum(0 in lineage(one.proposal, run) for one in run) for run in (made, without)]
    assert wasted[0] == 1 < wasted[1]


def test_never_everything_is_pruned() -> None:
    hard = dataclasses.replace(PLAIN, prune_percent=99, prune_after=1)
    some = 0
    for seed in range(6):
        for history, _ in search(lats, hard, by_chance(seed), 40):
            for node in grow(history, 3).walk():
                ways = {one.ordinal for one in node.children if not one.closed}
                cut = puct.low(node, 0.99, 1)
                assert not ways or ways - cut
                some += len(cut)
    assert some > 0


# notes


def test_a_note_says_what_changed_and_why_it_failed() -> None:
    parent = attempt(0)
    assert parent.candidate is not None
    changed = "// params of it\n" + parent.candidate.source + "int x = `y`; // again\n"
    wrong = CaseResult("h", (4,), "f32", "contiguous", False, True, cause="tail unwritten")
    right = dataclasses.replace(wrong, ok=True, cause="")
    verdict = Verdict("incorrect", "smoke_passed", "1 of 2 cases is wrong", cases=(right, wrong))
    failed = child(1, 0, "incorrect")
    failed = dataclasses.replace(
        failed, verdict=verdict, candidate=dataclasses.replace(parent.candidate, source=changed)
    )
    text = notes.note(failed, parent)
    assert "Changed 1 line (\"int x = 'y'; // again\")." in text
    assert "incorrect: 1 of 2 cases is wrong." in text
    assert "the first a hidden one: tail unwritten." in text
    broken = dataclasses.replace(verdict, evidence=("a very long tale " * 40,), reason="r " * 70)
    long = notes.note(dataclasses.replace(failed, verdict=broken), parent)
    assert len(long.split()) == notes.WORDS and "\n" not in long and "`" not in long


def test_the_compilers_first_error_is_in_the_note() -> None:
    assert "x.cpp:1: error: expected ';'" in notes.note(child(1, 0, "compile_error"), attempt(0))


def answers(request: Request) -> str:
    """Right drafts; every refinement is wrong in a way of its own."""
    if request.role == "draft":
        return fenced(kernel("verified 2.0", request.key[:6]))
    return fenced(kernel("incorrect", f"way-{request.key[:6]}"))


def prompts(ledger: ledgers.Ledger) -> dict[int, tuple[dict[str, object], str]]:
    found = {}
    for event in ledger.events:
        if event.kind == "ask" and event.ordinal is not None:
            messages = json.loads(ledgers.read_blob(ledger.dir, event.data["prompt"]))
            text = "\n".join(message["content"] for message in messages)
            found[event.ordinal] = (event.data["proposal"], text)
    return found


def test_the_note_of_a_failed_child_stands_in_its_siblings_prompt(tmp_path: Path) -> None:
    told: list[bool] = []
    silent: list[bool] = []
    for options, folder in ((PLAIN, told), (dataclasses.replace(PLAIN, notes=False), silent)):
        lab = Lab(
            tmp_path / str(options.notes),
            lats,
            options,
            ScriptedModel(answers),
            ToldVerifier(),
            budget=16,
        )
        ledger = lab.run()
        asked = prompts(ledger)
        made = ledgers.attempts(ledger.events, "core/relu", ledger.dir)
        for one in made:
            if one.proposal.role != "refine":
                continue
            (parent,) = one.proposal.parents
            brothers = [
                other
                for other in made[: one.ordinal]
                if other.proposal.parents == (parent,) and not other.verdict.verified
            ]
            above = made[parent]
            for other in brothers[-notes.SHOWN :]:
                if other.duplicate_of is None:
                    folder.append(f"\n- {notes.note(other, above)}\n" in asked[one.ordinal][1])
    assert told and all(told)
    assert silent and not any(silent)


def test_drafts_stay_the_drafts_of_all_methods(tmp_path: Path) -> None:
    def digests(module: object, options: object, folder: str) -> list[str]:
        model = ScriptedModel(lambda request: fenced(kernel("compile_error", request.key[:6])))
        lab = Lab(tmp_path / folder, module, options, model, ToldVerifier(), budget=20)
        asks = [event.data for event in lab.run().events if event.kind == "ask"]
        return [ask["request"] for ask in asks if ask["proposal"]["role"] == "draft"]

    shared = digests(best_of_n, best_of_n.Options(False), "best")
    mine = digests(lats, PLAIN, "lats")
    assert len(mine) > 2 and mine == shared[: len(mine)]
    own = digests(lats, dataclasses.replace(PLAIN, notes_drafts=True), "own")
    assert own[0] == shared[0] and not set(own[1:]) & set(shared)


# the learnt prior


def test_what_was_learnt_turns_the_search() -> None:
    options = dataclasses.replace(PLAIN, prm=True)
    assert lats.learns(options) and not lats.learns(PLAIN)

    def outcome(
        ordinal: int, proposal: Proposal, past: Sequence[Attempt]
    ) -> tuple[str, float | None]:
        """Refining what is slower than eager never pays, what is faster always does."""
        if not proposal.parents:
            return "verified", 0.8 if ordinal % 2 else 1.25
        speed = past[proposal.parents[0]].speedup("eager") or 1.0
        return "verified", speed * (1.05 if speed > 1 else 0.9)

    learnt = None
    for task in range(6):
        made = attempts(lats, options, outcome, 40, seed=task, learnt=learnt)
        learnt = json.loads(json.dumps(lats.observe(learnt, made, options)))
    assert learnt is not None
    gained = learnt["evaluation"]["gained"]
    assert gained["brier"] < gained["brier_constant"] and learnt["evaluation"]["weight"] > 0.5
    assert [tree["attempts"] for tree in learnt["trees"]] == [40] * 6
    past = [attempt(0, speed=0.8), attempt(1, speed=1.25)]
    history = view(past, learnt=learnt)
    root = grow(history, 3)
    shares = lats._prior(history, root, options)(root.children)
    assert sum(shares) == pytest.approx(1.0) and shares[1] > 0.8
    assert lats._prior(history, root, PLAIN)(root.children) == [0.5, 0.5]
    assert lats._prior(view(past), root, options)(root.children) == [0.5, 0.5]


def test_a_task_is_learnt_from_once_whether_folded_or_observed() -> None:
    options = dataclasses.replace(PLAIN, prm=True)
    made = attempts(lats, options, by_chance(3), 40)
    folded = learner.learn(learner.State(), grow(view(made), 3), 0.02)
    assert lats.observe(None, made, options)["prm"] == learner.to_data(folded)
