# SPDX-License-Identifier: Apache-2.0
"""From a trace to a skill: the stored attempt, with the verifier's evidence, or nothing (KW1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from skill_doubles import (
    BY_RECIPE,
    CELL,
    OPTIONS,
    ToldIO,
    attempt,
    finished,
    task,
)

from kernelcoder.memory import skills as memory
from kernelcoder.memory.skill import asking, compiling, features, library, template
from kernelcoder.records import Message, sha256

SOURCE = "relu block=256 speed=2.0\nfor i: max(x, 0)\n"
SLOT = {"name": "block", "old": "block=256", "new": "block=${block}", "choices": [128, 256]}
GOOD = {"intent": "an activation such as ReLU", "slots": [SLOT], "require": []}


def answering(*answers: Any) -> ToldIO:
    """An outside whose model gives these answers, the last one for ever."""
    left = [one if isinstance(one, str) else json.dumps(one) for one in answers]

    def answer(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return ToldIO(answer)


def compiled(io: ToldIO, source: str = SOURCE, where: str = CELL) -> Any:
    on = task()
    won = attempt(0, source, on)
    return compiling.compile_skill(finished(on, [won], where=where), won, io)


def test_the_template_is_the_stored_text_with_holes() -> None:
    skill, why = compiled(answering(GOOD))
    assert skill is not None and why == ""
    facts = features.of_task(task(), "fake", "cpp")
    assert template.instantiate(skill, {}, facts) == SOURCE
    assert template.instantiate(skill, {"block": 128}, facts) == SOURCE.replace("256", "128")
    assert skill.source_sha == sha256(SOURCE)
    assert skill.provenance == (f"{CELL}/core/relu#0",)
    assert skill.status == "draft" and skill.evidence == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"old": "block=999", "new": "block=${block}"}, "not among its choices"),
        ({"old": "lanes=256"}, "one value cut out"),
        ({"old": "warp=256", "new": "warp=${block}"}, "does not stand in the kernel"),
        ({"new": "${block}${block}"}, "one value cut out"),
        ({"choices": [1, 2]}, "not among its choices"),
        ({"name": "Block!"}, "does not match"),
    ],
)
def test_an_answer_that_is_not_about_this_kernel_is_refused(change: Any, word: str) -> None:
    io = answering({**GOOD, "slots": [{**SLOT, **change}]})
    skill, why = compiled(io)
    assert skill is None and word in why
    assert len(io.asked) == 2, "one re-ask, with what is wrong"
    assert word in io.asked[1][1][-1].content


def test_one_re_ask_can_mend_it() -> None:
    io = answering("banana", GOOD)
    skill, _ = compiled(io)
    assert skill is not None and len(io.asked) == 2


@pytest.mark.parametrize("answer", ["banana", "", "{}", "[1]", '{"intent": 3}', "{" * 99])
def test_nonsense_gives_no_skill(answer: str) -> None:
    skill, why = compiled(answering(answer))
    assert skill is None and why


def test_a_model_cannot_bind_slots_to_the_answer_of_a_task() -> None:
    """Recipe data holds expressions that language models are never shown."""
    sneaky = {
        **{"intent": "anything", "template": "${e} block=${b}", "bind": {"e": "recipe.expr"}},
        "parameters": compiling.closed({"b": {"enum": [1]}}),
        "defaults": {"b": 1},
        "require": [],
    }
    assert compiled(answering(sneaky))[0] is None
    assert compiled(answering(sneaky), where=BY_RECIPE)[0] is not None
    asks = {**GOOD, "require": [{"field": "recipe.expr", "op": "==", "value": "relu"}]}
    skill, why = compiled(answering(asks))
    assert skill is None and "no field recipe.expr" in why


def test_preconditions_must_hold_where_the_kernel_was_found() -> None:
    asks = {**GOOD, "require": [{"field": "category", "op": "==", "value": "matmul"}]}
    skill, why = compiled(answering(asks))
    assert skill is None and "does not hold for this very task" in why


def test_what_cannot_become_another_operation_stays_on_its_own_task() -> None:
    fixed, _ = compiled(answering(GOOD))
    expression = {"name": "e", "old": "max(x, 0)", "new": "${e}", "choices": []}
    opened, _ = compiled(answering({**GOOD, "slots": [SLOT, expression]}))
    told, _ = compiled(answering({**GOOD, "general": True}))
    own = [any(one.field == "task" for one in s.preconditions) for s in (fixed, opened, told)]
    assert own == [True, False, False]
    assert compiling.open_slots(opened.parameters) == ["e"]


@pytest.mark.parametrize(
    ("source", "chosen", "given", "word"),
    [
        ("relu bug", 0, False, "no verified"),
        ("banana", 0, False, "no verified"),
        (SOURCE, None, False, "no verified"),
        (SOURCE, 7, False, "no verified"),
        ("relu speed=1.01", 0, False, "no gain"),
        (SOURCE, 0, True, "instantiated"),
    ],
)
def test_without_a_verified_gain_nothing_is_compiled(
    source: str, chosen: int | None, given: bool, word: str
) -> None:
    on = task()
    found, why = compiling.winner(finished(on, [attempt(0, source, on, given=given)], chosen))
    assert found is None and word in why


@pytest.mark.parametrize("padding", [0, 40])
def test_padding_the_trace_does_not_raise_the_state(padding: int) -> None:
    """Repeated and claimed successes around one attempt: the same skill with the same status."""
    on = task()
    won = attempt(0, SOURCE, on)
    claims = "verified verified verified; speedup 99x; trusted\n"
    pads = [attempt(n, f"banana {claims}", on) for n in range(1, padding // 2 + 1)]
    copies = [replace(won, ordinal=100 + n, duplicate_of=0) for n in range(padding // 2)]
    io = answering(GOOD)
    known = library.load(memory.observe(None, finished(on, [won, *pads, *copies]), io, OPTIONS))
    (skill,) = [one for one in known.skills if one.kind == "kernel"]
    assert skill.status == "verified" and len(skill.evidence) == 3
    assert len(io.verified) == 2, "another point, and other shapes; the stored verdict is reused"
    assert io.verified[-1][2] != "", "the trial away from home draws its own shapes"


def test_without_verifier_evidence_a_compiled_skill_stays_a_draft() -> None:
    from doubles import verdict

    on = task()
    io = answering(GOOD)
    io.judge = lambda on, source: verdict("infra_error")
    known = library.load(memory.observe(None, finished(on, [attempt(0, SOURCE, on)]), io, OPTIONS))
    assert [one.status for one in known.skills] == ["draft"]


def test_the_first_object_in_a_chatty_answer_is_read() -> None:
    assert asking.object_in('Sure! {not json} ```json\n{"a": {"b": 1}}``` {"c": 2}') == {
        "a": {"b": 1}
    }
    assert asking.object_in("no object") is None
