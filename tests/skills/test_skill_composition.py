# SPDX-License-Identifier: Apache-2.0
"""Plans really execute: order, branches, loops, types, conflicts, rollback, strategies (KW9)."""

from __future__ import annotations

from typing import Any

import pytest
from skill_doubles import judged, skill, task

from kernelcoder.memory.skill import composition, features, schema
from kernelcoder.memory.skill.compiling import closed
from kernelcoder.memory.skill.composition import Machine, Ran, merge, problems
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.memory.skill.schema import Check, Edit, Skill

FACTS = features.of_task(task(), "fake", "cpp")
BASE = "relu block=256\nhead\nbody\ntail\n"


def edit(name: str, find: str, put: str, needs: str = "") -> Skill:
    """An edit of one line that needs a text and guarantees another."""
    wants = [Predicate("kernel.text", "contains", needs or find)]
    return schema.sealed(
        skill(
            f"fake-{name}",
            kind="edit",
            template="",
            bind={},
            parameters=closed({}),
            defaults={},
            preconditions=tuple(wants),
            edits=(Edit(find, put),),
            postconditions=(
                Check("verdict", "verified"),
                Check("source", put, "kernel.text", "contains"),
            ),
        )
    )


KERNEL = skill()
FAST = edit("fast", "head\n", "fast head\n")
FASTER = edit("faster", "fast head\n", "faster head\n")
TAIL = edit("tail", "tail\n", "long tail\n")
OTHER = edit("other", "head\n", "other head\n")
WRONG = edit("wrong", "body\n", "body bug\n")
GROW = edit("grow", "body\n", "body more\nbody\n")
SKILLS = {one.name: one for one in (KERNEL, FAST, FASTER, TAIL, OTHER, WRONG, GROW)}


def do(one: Skill, **more: Any) -> dict[str, Any]:
    return {"do": "skill", "skill": one.name, **more}


def sequence(*steps: Any) -> dict[str, Any]:
    return {"do": "sequence", "steps": list(steps)}


def parallel(*branches: Any) -> dict[str, Any]:
    return {"do": "parallel", "branches": list(branches)}


def ran(plan: Any, source: str | None = None, strategy: Any = "abort") -> Ran:
    machine = Machine(SKILLS, FACTS, lambda text: judged(task(), text), "eager", strategy)
    return machine.run(plan, source)


def words(found: Ran) -> list[str]:
    return [event.what for event in found.events]


def test_a_sequence_applies_each_to_what_the_last_one_left() -> None:
    plan = sequence(do(KERNEL, params={"block": 512}), do(FAST), do(FASTER))
    assert problems(plan, SKILLS, FACTS) == []
    found = ran(plan)
    assert found.source == "relu block=512\nfaster head\nbody\ntail\n"
    assert words(found) == ["applied", "passed"] * 3
    assert [source for _, _, source, _ in found.judged][0] == "relu block=512\nhead\nbody\ntail\n"


def test_parallel_branches_are_merged_and_the_whole_is_judged() -> None:
    found = ran(sequence(do(KERNEL), parallel(do(FAST), do(TAIL))))
    assert found.source == "relu block=256\nfast head\nbody\nlong tail\n"
    assert "merged" in words(found)


def test_two_branches_on_the_same_lines_are_a_conflict() -> None:
    found = ran(sequence(do(KERNEL), parallel(do(FAST), do(OTHER))))
    assert found.aborted and "conflict" in words(found) and found.source is None
    kept = ran(sequence(do(KERNEL), parallel(do(FAST), do(OTHER)), do(TAIL)), strategy="skip")
    assert kept.source == BASE.replace("tail", "long tail")


def test_a_merge_that_is_wrong_as_a_whole_is_rolled_back() -> None:
    def judge(text: str) -> Any:
        both = "fast head" in text and "long tail" in text
        return judged(task(), text + (" bug" if both else ""))

    plan = sequence(do(KERNEL), parallel(do(FAST), do(TAIL)))
    found = Machine(SKILLS, FACTS, judge, "eager", "skip").run(plan)
    assert found.source == BASE and "rolled back" in words(found)


@pytest.mark.parametrize(("value", "line"), [("head", "fast head"), ("banana", "long tail")])
def test_a_conditional_looks_at_the_kernel(value: str, line: str) -> None:
    test = {"field": "kernel.text", "op": "contains", "value": value}
    plan = {"do": "conditional", "if": test, "then": do(FAST), "else": do(TAIL)}
    found = ran(sequence(do(KERNEL), plan))
    assert found.source is not None and line in found.source and "branch" in words(found)


def test_a_loop_runs_while_its_condition_holds() -> None:
    short = {"field": "kernel.lines", "op": "<=", "value": 7}
    plan = {"do": "loop", "while": short, "body": do(GROW), "most": 8}
    found = ran(plan, BASE)
    assert found.source == BASE.replace("body\n", "body more\n" * 3 + "body\n")
    assert [event.why for event in found.events if event.what == "round"] == ["1", "2", "3"]
    assert ran({**plan, "most": 2}, BASE).source == BASE.replace(
        "body", "body more\nbody more\nbody"
    )
    assert ran(plan, found.source).source == found.source, "the condition does not hold any more"
    stuck = ran({**plan, "body": do(WRONG)}, BASE, "skip")
    assert words(stuck).count("round") == 1, "a round that changes nothing is not repeated"


def test_abort_rolls_back_the_whole_plan() -> None:
    found = ran(sequence(do(FAST), do(WRONG), do(TAIL)), BASE)
    assert found.aborted and found.source == BASE
    assert words(found) == [
        "applied", "passed", "applied", "failed", "rolled back", "aborted", "rolled back",
    ]  # fmt: skip


def test_skip_goes_on_without_the_step() -> None:
    found = ran(sequence(do(FAST), do(WRONG), do(TAIL)), BASE, "skip")
    assert not found.aborted
    assert found.source == "relu block=256\nfast head\nbody\nlong tail\n"
    assert words(found).count("skipped") == 1 and words(found).count("rolled back") == 1


def test_fallback_takes_the_other_way() -> None:
    plan = sequence(do(WRONG, **{"else": do(FAST)}), do(TAIL))
    found = ran(plan, BASE, "fallback")
    assert found.source == "relu block=256\nfast head\nbody\nlong tail\n"
    assert "fell back" in words(found)
    none = ran(sequence(do(FAST), do(WRONG)), BASE, "fallback")
    assert none.aborted and none.source == BASE


def test_an_absent_judge_lets_nothing_pass() -> None:
    from doubles import verdict

    machine = Machine(SKILLS, FACTS, lambda text: verdict("infra_error"), "eager")
    found = machine.run(do(FAST), BASE)
    assert found.aborted and found.source == BASE and "unknown" in words(found)


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (do(FAST), "there is none yet"),
        (sequence(do(KERNEL), do(KERNEL)), "throw away"),
        (sequence(do(KERNEL), do(FASTER)), "nothing before it guarantees"),
        (sequence(do(KERNEL), do(FAST), do(TAIL)), "nothing before it guarantees"),
        (parallel(do(FAST)), "need a kernel"),
        ({"do": "skill", "skill": "fake-gone@1"}, "there is no skill"),
        ({"do": "banana"}, "no plan of kind"),
        (
            {
                "do": "conditional",
                "if": {"field": "category", "op": "==", "value": "activation"},
                "then": do(KERNEL),
            },
            "one way leaves a kernel",
        ),
        (
            sequence(
                do(KERNEL),
                {
                    "do": "loop",
                    "while": {"field": "kernel.lines", "op": "<=", "value": 9},
                    "body": do(WRONG),
                    "most": 3,
                },
            ),
            "nothing before it guarantees",
        ),
    ],
)
def test_plans_are_type_checked_before_they_run(plan: Any, word: str) -> None:
    assert any(word in one for one in problems(plan, SKILLS, FACTS))


def test_a_skill_for_another_task_is_refused() -> None:
    other = features.of_task(task("matmul", "matmul"), "fake", "cpp")
    assert any("does not hold for this task" in one for one in problems(do(KERNEL), SKILLS, other))
    assert (
        "category"
        in Machine(SKILLS, other, lambda _: judged(task(), ""), "eager")
        .run(do(KERNEL))
        .events[0]
        .why
    )


def test_merging_keeps_every_change_or_none() -> None:
    base = "a\nb\nc\nd\n"
    assert merge(base, ["A\nb\nc\nd\n", "a\nb\nc\nD\n"]) == "A\nb\nc\nD\n"
    assert merge(base, ["A\nb\nc\nd\n", "A\nb\nc\nd\n"]) == "A\nb\nc\nd\n"
    assert merge(base, ["A\nb\nc\nd\n", "B\nb\nc\nd\n"]) is None
    assert merge(base, ["A\nb\nc\nd\n", "a\nB\nc\nd\n"]) is None, "touching changes"
    assert merge(base, [base, base]) == base
    assert composition.MOST_ROUNDS == 8
