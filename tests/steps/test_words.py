# SPDX-License-Identifier: Apache-2.0
"""Recipes that ask in words: plans, diagnoses, ideas, and the fixer of debug-split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from doubles import ScriptedModel, attempt, by_luck, verdict
from recipe_lab import CHAIN, DRAFTS, attempts, kernels, lab, plans, questions, talker, text_of
from recipe_lab import write as writes

from kernelcoder.embedding import embed, similarity
from kernelcoder.methods import refine
from kernelcoder.records import CaseTiming, Ratio, Request, Timing
from kernelcoder.steps import ideas, plan_code
from kernelcoder.steps.words.digest import LINES, digest

PLANS = plans(("Tile it.", 1.5, 0.1), ("Rewrite it all.", 4.0, 0.9), ("Fuse it.", 2.0, 0.3))


def test_the_plan_that_promises_most_for_its_difficulty_stands_in_the_prompt(
    tmp_path: Path,
) -> None:
    model = ScriptedModel(talker(plans=PLANS))
    lab(tmp_path, "plan_code", by_luck, model=model, budget=2).run()
    drafts = kernels(model)
    assert len(drafts) == len(questions(model, "plans")) == 2
    for draft in drafts:
        assert "## Thoughts" in text_of(draft) and "Fuse it." in text_of(draft)
        assert "Tile it." not in text_of(draft)


def test_a_plan_is_kept_for_three_failures_and_then_the_next_one_comes(tmp_path: Path) -> None:
    model = ScriptedModel(talker(plans=PLANS, kernel=writes("incorrect")))
    lab(tmp_path, "plan_code", by_luck, model=model, method=CHAIN, budget=8).run()
    said = [text_of(one) for one in kernels(model)]
    named = [
        next(name for name in ("Fuse it.", "Tile it.", "Rewrite it all.") if name in text)
        for text in said
    ]
    assert named == ["Fuse it."] * 3 + ["Tile it."] * 3 + ["Rewrite it all."] * 2
    assert "was tried 2 times before" in said[2]
    assert "failed 3 times and is given up" in said[3]
    assert len(questions(model, "plans")) == 1, "one list for the whole line, asked once"


def test_a_verified_kernel_gets_plans_of_its_own(tmp_path: Path) -> None:
    model = ScriptedModel(talker(plans=PLANS, kernel=writes("verified 1.0")))
    lab(tmp_path, "plan_code", by_luck, model=model, method=CHAIN, budget=3).run()
    first, second = questions(model, "plans")
    assert "## Kernel to work on" not in text_of(first)
    assert "## Kernel to work on: attempt 0" in text_of(second)
    assert second.recipe["source"] and not first.recipe["source"]


def test_right_children_that_gain_nothing_use_up_a_plan_too(tmp_path: Path) -> None:
    def worse(request: Request) -> str:
        return writes("verified 2.0" if request.role == "draft" else "verified 2.01")(request)

    model = ScriptedModel(talker(plans=PLANS, kernel=worse))
    method = (refine, refine.Options(1, False, 0))
    found = lab(tmp_path, "plan_code", by_luck, model=model, method=method, budget=6).run()
    assert [one.proposal.parents for one in attempts(found)][1:] == [(0,)] * 5
    said = [text_of(one) for one in kernels(model)[1:]]
    assert ["Fuse it." in text for text in said] == [True] * 3 + [False] * 2
    assert ["Tile it." in text for text in said] == [False] * 3 + [True] * 2
    assert len(questions(model, "plans")) == 2, "one list for the draft, one for what came of it"


def test_drafts_do_not_depend_on_what_was_seen(tmp_path: Path) -> None:
    """The i-th draft of every method is one request, plans and ideas included."""
    for step in ("plan_code", "ideas"):
        asked: list[set[str]] = []
        for name, method in (("a", DRAFTS), ("b", (refine, refine.Options(4, False, 0)))):
            said = talker(plans=PLANS, ideas=json.dumps({"ideas": ["One way.", "Another road."]}))
            model = ScriptedModel(said)
            lab(tmp_path / step / name, step, by_luck, model=model, method=method, budget=4).run()
            asked.append({one.digest for one in model.requests})
        assert asked[0] == asked[1]


def test_plans_in_order_of_worth() -> None:
    found = plan_code.read(json.loads(PLANS))
    assert [plan.text for plan in found] == ["Fuse it.", "Tile it.", "Rewrite it all."]
    assert [plan.worth for plan in found] == sorted((one.worth for one in found), reverse=True)


def test_the_diagnosis_and_the_look_back_stand_in_the_child_s_prompt(tmp_path: Path) -> None:
    said = {"bottleneck": "Memory", "evidence": "12 % of the roofline", "change": "Load once."}
    model = ScriptedModel(
        talker(diagnose=json.dumps(said), reflect="word " * 60, kernel=writes("verified 2.0"))
    )
    lab(tmp_path, "diagnose", by_luck, model=model, method=CHAIN, budget=2).run()
    draft, child = kernels(model)
    assert "## Thoughts" not in text_of(draft)
    assert "12 % of the roofline" in text_of(child) and "Load once." in text_of(child)
    assert text_of(child).count("word") == 40
    assert "Looking back on attempt 0" in text_of(child)
    (asked,) = questions(model, "diagnose")
    assert "Speed over eager: 2.00 (95 % interval 1.96 to 2.04, n = 8)." in text_of(asked)


def test_the_look_back_is_asked_once_for_all_children(tmp_path: Path) -> None:
    said = {"bottleneck": "compute", "evidence": "e", "change": "c"}

    def worse(request: Request) -> str:
        return writes("verified 2.0" if request.role == "draft" else "verified 1.0")(request)

    model = ScriptedModel(talker(diagnose=json.dumps(said), reflect="It was fine.", kernel=worse))
    found = lab(tmp_path, "diagnose", by_luck, model=model, method=CHAIN, budget=4).run()
    assert [one.proposal.parents for one in attempts(found)] == [(), (0,), (0,), (0,)]
    assert len(questions(model, "reflect")) == 1
    assert len(questions(model, "diagnose")) == 3, "each child has a diagnosis of its own"


def test_without_reflection_nothing_is_looked_back_on(tmp_path: Path) -> None:
    said = {"bottleneck": "compute", "evidence": "e", "change": "c"}
    model = ScriptedModel(talker(diagnose=json.dumps(said)))
    lab(
        tmp_path, "diagnose", by_luck, model=model, method=CHAIN, budget=3,
        changes={"reflect": False},
    ).run()  # fmt: skip
    assert not questions(model, "reflect") and questions(model, "diagnose")


def test_the_digest_puts_the_worst_case_first_and_says_the_headroom() -> None:
    def case(name: str, speed: float, roofline: float) -> CaseTiming:
        ratio = Ratio(speed, speed * 0.9, speed * 1.1, 8)
        return CaseTiming(name, (64, 65), "f32", "hot", 1e-5, {"eager": ratio}, roofline)

    many = tuple(case(f"c{i}", 2.0 - i / 50, 0.25) for i in range(20))
    found = attempt(0, "verified", 2.0)
    timing = Timing("search", verdict("verified", 2.0).timing.speedup, 0.5, 1e-5, many)  # type: ignore[union-attr]
    one = _with(found, timing)
    lines = digest(one, "unused", "eager").splitlines()
    assert len(lines) == LINES
    assert lines[0].startswith("Speed over eager: 2.00")
    assert "50 % of what memory and arithmetic allow (at most 2.0 times faster)" in lines[2]
    assert "1.62 of eager" in lines[4] and "at most 4.0 times" in lines[4]
    wrong = attempt(0, "incorrect")
    assert digest(wrong, "3 of 4 cases right\nWrong: tail", "eager").endswith("Wrong: tail")


def _with(found: Any, timing: Timing) -> Any:
    import dataclasses

    return dataclasses.replace(found, verdict=dataclasses.replace(found.verdict, timing=timing))


def test_only_debugging_goes_to_the_fixer(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return writes("incorrect" if request.role == "draft" else "verified 2.0")(request)

    models = {name: ScriptedModel(script) for name in ("one_shot", "debug_split")}
    for name, model in models.items():
        lab(tmp_path / name, name, script, model=model, method=CHAIN, budget=3).run()
    plain, split = (kernels(models[name]) for name in ("one_shot", "debug_split"))
    assert [one.role for one in split] == ["draft", "debug", "refine"]
    assert plain[0] == split[0] and plain[2] == split[2]
    fixer = split[1]
    assert fixer.messages[0].content.startswith("You repair compute kernels.")
    assert fixer.sampling.temperature == 0.2 and plain[1].sampling.temperature == 1.0
    assert "told to be incorrect" in text_of(fixer) and "single ```cpp block" in text_of(fixer)
    assert "as fast as" not in text_of(fixer) and "## History" not in text_of(fixer)


IDEAS = ["Keep the rows in vector registers.", "Split the columns over threads.", "Skip zeros."]


def test_children_of_one_parent_take_the_ideas_in_turn(tmp_path: Path) -> None:
    def worse(request: Request) -> str:
        return writes("verified 2.0" if request.role == "draft" else "verified 1.0")(request)

    model = ScriptedModel(talker(ideas=json.dumps({"ideas": IDEAS}), kernel=worse))
    lab(tmp_path, "ideas", by_luck, model=model, method=CHAIN, budget=5).run()
    children = kernels(model)[1:]
    named = [next(idea for idea in IDEAS if idea in text_of(one)) for one in children]
    assert named == [*IDEAS, IDEAS[0]]
    assert len(questions(model, "ideas")) == 2, "once for drafts, once for the parent"


def test_drafts_share_one_list_and_spread_over_it(tmp_path: Path) -> None:
    model = ScriptedModel(talker(ideas=json.dumps({"ideas": IDEAS})))
    lab(tmp_path, "ideas", by_luck, model=model, budget=16).run()
    named = [next(idea for idea in IDEAS if idea in text_of(one)) for one in kernels(model)]
    assert set(named) == set(IDEAS)
    assert len(questions(model, "ideas")) == 1


def test_another_seed_has_other_ideas(tmp_path: Path) -> None:
    asked = set()
    for seed in (0, 1):
        model = ScriptedModel(talker(ideas=json.dumps({"ideas": IDEAS})))
        lab(tmp_path / str(seed), "ideas", by_luck, model=model, budget=1, seed=seed).run()
        asked |= {one.key for one in questions(model, "ideas")}
    assert len(asked) == 2


def test_failing_kernels_are_mended_without_ideas(tmp_path: Path) -> None:
    model = ScriptedModel(talker(ideas=json.dumps({"ideas": IDEAS}), kernel=writes("incorrect")))
    lab(tmp_path, "ideas", by_luck, model=model, method=CHAIN, budget=3).run()
    assert ["## Thoughts" in text_of(one) for one in kernels(model)] == [True, False, False]


def test_ideas_that_say_the_same_are_one() -> None:
    said = [
        "Use vector loads of four floats at a time.",
        "use vector loads, of four floats at a time",
        "Split each row over several threads.",
    ]
    assert (
        similarity(embed(said[0]), embed(said[1]))
        > 0.7
        > similarity(embed(said[0]), embed(said[2]))
    )
    assert ideas.distinct(said, 0.7) == (said[0], said[2])
    assert ideas.distinct(said, 1.01) == tuple(said)
    assert ideas.distinct(said, 0.0) == (said[0],)
