# SPDX-License-Identifier: Apache-2.0
"""The memory as the engine uses it: what is shown, tried, learnt and counted over tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from skill_doubles import (
    BY_RECIPE,
    OPTIONS,
    VERIFIER,
    ToldIO,
    attempt,
    finished,
    judged,
    query,
    skill,
    task,
    trial,
)

from kernelcoder.memory import skills as memory
from kernelcoder.memory.skill import composition, editing, evidence, features, library, sweep
from kernelcoder.memory.skill.compiling import closed
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.records import Message
from kernelcoder.task import Task

NAMES = ("relu", "silu", "gelu", "tanh", "exp", "abs", "sqrt", "log", "sigmoid", "elu")
SERVED = evidence.judged(skill(evidence=(trial(), trial(1, task="core/silu"))), VERIFIER)


def told(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
    """A recipe model that makes templates of the told kernels: any operation, one slot."""
    words = str(data["source"]).split()
    return (
        json.dumps(
            {
                "intent": "an activation of every element",
                "template": "${op} block=${block} speed=3.0\n",
                "parameters": closed({"block": {"enum": [256, 512]}}),
                "defaults": {"block": 256},
                "bind": {"op": "recipe.expr"},
                "require": [{"field": "recipe.family", "op": "==", "value": "told"}],
            }
        )
        if words[0] in NAMES
        else ""
    )


def snapshot(*skills: Any) -> Any:
    return library.dump(Library(skills or (SERVED,)))


def one_task(known: Any, name: str, options: memory.Options = OPTIONS) -> tuple[Any, ToldIO]:
    """The seeds of a task, then one draft, then what is learnt of both."""
    on = task(name)
    seeds = memory.seeds(known, query(on), options)
    attempts = [attempt(n, seed.source, on, given=True) for n, seed in enumerate(seeds)]
    attempts.append(attempt(len(seeds), f"{name} block=256 speed=2.0", on))
    context = {n: (seed.item,) for n, seed in enumerate(seeds)}
    best = max(range(len(attempts)), key=lambda n: attempts[n].speedup("eager") or 0.0)
    io = ToldIO(told, tasks={f"core/{one}": task(one) for one in NAMES})
    ended = finished(on, attempts, best, BY_RECIPE, context)
    return memory.observe(known, ended, io, options), io


def test_nothing_is_shown_or_tried_before_anything_was_learnt() -> None:
    assert memory.provide(None, query(task()), OPTIONS) == ()
    assert memory.seeds(None, query(task()), OPTIONS) == ()


def test_only_skills_in_service_are_shown_and_tried() -> None:
    for status in ("draft", "deprecated"):
        known = snapshot(replace(SERVED, status=status))
        assert memory.provide(known, query(task("gelu")), OPTIONS) == ()
        assert memory.seeds(known, query(task("gelu")), OPTIONS) == ()
    (item,) = memory.provide(snapshot(), query(task("gelu")), OPTIONS)
    assert item.id == "fake-relu@1" and item.provenance == SERVED.provenance
    assert "right in 2 of 2" in item.text and "block=256" in item.text
    (seed,) = memory.seeds(snapshot(), query(task("gelu")), OPTIONS)
    assert seed.source.startswith("gelu block=256") and seed.role == "probe"
    assert "match" in seed.why


def test_no_task_is_given_what_was_learnt_on_it() -> None:
    assert memory.provide(snapshot(), query(task("relu")), OPTIONS) == ()
    assert memory.seeds(snapshot(), query(task("relu")), OPTIONS) == ()


def test_preconditions_keep_skills_from_other_tasks() -> None:
    other = query(task("matmul", "matmul"))
    assert memory.provide(snapshot(), other, OPTIONS) == ()
    assert memory.seeds(snapshot(), other, OPTIONS) == ()
    elsewhere = replace(query(task("gelu")), backend="cuda")
    assert memory.provide(snapshot(), elsewhere, OPTIONS) == ()


def test_a_prompt_is_never_shown_what_a_slot_is_bound_to() -> None:
    """The expression of a task is data of the recipe model, not of any prompt."""
    (item,) = memory.provide(snapshot(), query(task("gelu")), OPTIONS)
    assert "gelu" not in item.text and "/* op */" in item.text


def test_the_options_bound_what_is_shown_and_tried() -> None:
    many = [
        evidence.judged(
            skill(
                f"fake-{n}",
                template=f"${{op}} block=${{block}} n={n}\n",
                evidence=(trial(), trial(1, task="core/silu")),
            ),
            VERIFIER,
        )
        for n in range(5)
    ]
    for count in (0, 1, 2):
        options = replace(OPTIONS, shown=count, probes=count)
        assert len(memory.provide(snapshot(*many), query(task("gelu")), options)) == count
        assert len(memory.seeds(snapshot(*many), query(task("gelu")), options)) == count


def test_a_skill_grows_over_a_stream_of_tasks() -> None:
    """Draft on the first task, verified on the second, probed after that, trusted by its limit."""
    known: Any = None
    standing = []
    for name in NAMES:
        known, io = one_task(known, name)
        assert len(io.verified) <= OPTIONS.trials
        one = library.load(known).skills[0]
        standing.append(one.status)
        json.dumps(known, allow_nan=False)
    assert standing[0] == "draft" and standing[1] == "verified" and standing[-1] == "trusted"
    state = library.load(known)
    assert [change.after for change in state.skills[0].history] == ["verified", "trusted"]
    assert set(state.seen) == {f"core/{name}" for name in NAMES}
    assert state.outcomes and all(right == 1 for _, right in state.outcomes)


def test_a_skill_that_fails_on_the_stream_goes_out_of_service() -> None:
    wrong = replace(SERVED, template=SERVED.template.replace("head", "bug"))
    from kernelcoder.memory.skill import schema

    known: Any = snapshot(schema.sealed(wrong))
    for name in NAMES[2:6]:
        known, _ = one_task(known, name)
    first = library.load(known).skills[0]
    assert first.status == "deprecated" and first.history[-1].after == "deprecated"
    assert not any(right for _, right in library.load(known).outcomes[:2])


def test_the_same_stream_gives_the_same_snapshot() -> None:
    def whole() -> Any:
        known: Any = None
        for name in NAMES[:4]:
            known, _ = one_task(known, name)
        return known

    assert whole() == whole()


def test_an_unsuited_model_teaches_nothing_and_breaks_nothing() -> None:
    for answer in ("", "banana", "{}"):
        io = ToldIO(lambda *_, said=answer: said)
        known = memory.observe(None, finished(task(), [attempt(0, "relu", task())]), io, OPTIONS)
        state = library.load(known)
        assert state.skills == () and "no template" in state.declined[0][1]
    empty = memory.observe(None, finished(task(), [], None), ToldIO(), OPTIONS)
    assert library.load(empty).declined == (("core/relu", "no verified kernel was chosen"),)


def test_open_slots_are_filled_by_the_model_on_another_task() -> None:
    parameters = closed({"op": {"type": "string", "maxLength": 9, "pattern": "[a-z]*"}})
    draft = skill(
        bind={},
        parameters=parameters,
        defaults={"op": "relu"},
        template="${op} speed=2\n",
        evidence=(trial(),),
    )
    asked: list[str] = []

    def answer(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        asked.append(purpose)
        return ['{"op": "NO!"}', '{"op": "silu"}'][min(len(asked) - 1, 1)]

    on = task("silu")
    ended = finished(on, [attempt(0, "silu bug", on)], None)
    known = library.load(memory.observe(snapshot(draft), ended, ToldIO(answer), OPTIONS))
    assert asked == ["fill", "fill"] and known.fills == {"asked": 2, "invalid": 1}
    assert known.skills[0].status == "verified"
    assert known.skills[0].evidence[-1].params == {"op": "silu"}
    assert memory.seeds(library.dump(known), query(task("gelu")), OPTIONS) == ()


def edited(find: str = "block=256 ", put: str = "block=512 ") -> tuple[Any, Task]:
    on = task()
    first = attempt(0, "relu block=256 speed=2.0\n", on)
    second = attempt(1, f"relu {put}speed=3.0\n", on, parents=(0,))
    return finished(on, [first, second], 1), on


def test_a_refinement_that_gained_becomes_an_edit() -> None:
    ended, _ = edited()
    edit = editing.compile_edit(ended, VERIFIER)
    assert edit is not None and edit.kind == "edit" and edit.evidence[0].right
    text = "relu block=256 speed=2.0\n"
    for one in edit.edits:
        assert text.count(one.find) == 1
        text = text.replace(one.find, one.put)
    assert text == "relu block=512 speed=3.0\n"


@pytest.mark.parametrize(("before", "after"), [("relu", "relu"), ("a " * 50, "b " * 50)])
def test_what_is_no_small_change_is_no_edit(before: str, after: str) -> None:
    assert editing.edits_between(before, after) is None


def test_an_edit_is_tried_on_a_later_winner_and_rolled_back_if_wrong() -> None:
    ended, _ = edited()
    known = memory.observe(None, ended, ToldIO(), OPTIONS)
    (edit,) = library.load(known).skills
    assert edit.status == "draft"
    on = task("silu")
    later = finished(on, [attempt(0, "silu block=256 speed=2.0\n", on)])
    good = library.load(memory.observe(known, later, ToldIO(), OPTIONS)).skills[0]
    assert good.status == "verified" and good.evidence[-1].task == "core/silu"
    wrong = ToldIO(judge=lambda on, source: judged(on, source + " bug"))
    bad = library.load(memory.observe(known, later, wrong, OPTIONS)).skills[0]
    assert bad.status == "draft" and not bad.evidence[-1].right
    off = replace(OPTIONS, compose=False)
    assert library.load(memory.observe(None, ended, ToldIO(), off)).skills == ()


def test_kernel_and_edit_are_probed_together_only_if_the_types_fit() -> None:
    from kernelcoder.memory.skill import schema
    from kernelcoder.memory.skill.schema import Check, Edit

    edit = evidence.judged(
        skill(
            "fake-edit",
            kind="edit",
            template="",
            bind={},
            parameters=closed({}),
            defaults={},
            preconditions=(Predicate("kernel.text", "contains", "head"),),
            edits=(Edit("head", "speed=9"),),
            postconditions=(Check("verdict", "verified"),),
            evidence=(trial(), trial(1, task="core/silu")),
        ),
        VERIFIER,
    )
    seeds = memory.seeds(snapshot(SERVED, edit), query(task("gelu")), OPTIONS)
    assert [seed.item for seed in seeds] == ["fake-relu@1", "fake-edit@1"]
    assert "speed=9" in seeds[1].source
    unfit = schema.sealed(
        replace(edit, preconditions=(Predicate("kernel.text", "contains", "block=256"),))
    )
    (only,) = memory.seeds(snapshot(SERVED, unfit), query(task("gelu")), OPTIONS)
    assert only.item == "fake-relu@1", "a slot is no guarantee of the value in it"
    facts = features.of_task(task(), "fake", "cpp")
    plan = {
        "do": "sequence",
        "steps": [{"do": "skill", "skill": n} for n in ("fake-relu@1", "fake-edit@1")],
    }
    skills = {one.name: one for one in (SERVED, unfit)}
    assert composition.problems(plan, skills, facts)


def test_halving_keeps_the_fastest_within_its_budget() -> None:
    speeds = {one: float(one) for one in range(8)}
    calls: list[int] = []

    def measure(params: Mapping[str, Any]) -> float | None:
        calls.append(params["n"])
        return None if params["n"] == 7 else speeds[params["n"]]

    found = sweep.halving([{"n": n} for n in range(8)], measure, 100)
    assert found.best == {"n": 6} and found.rungs == (7, 4, 2)
    assert found.measured == len(calls) == 8 + 4 + 2
    calls.clear()
    cut = sweep.halving([{"n": n} for n in range(8)], measure, 11)
    assert cut.measured == len(calls) == 8 and cut.best == {"n": 6}
    assert sweep.halving([{"n": 7}], measure, 9).best is None
    assert sweep.halving([{"n": 1}], measure, 0).measured == 0


def test_points_begin_with_the_defaults_and_do_not_repeat() -> None:
    import random

    parameters = closed(
        {
            "a": {"enum": [1, 2, 3]},
            "b": {"type": "boolean"},
            "c": {"type": "integer", "minimum": 1, "maximum": 9},
            "t": {"type": "string"},
        }
    )
    defaults = {"a": 2, "b": False, "c": 4, "t": "x"}
    for count in (1, 5, 200):
        found = sweep.points(parameters, defaults, count, random.Random(0))
        assert found[0] == defaults and len(found) <= count
        assert len({json.dumps(one, sort_keys=True) for one in found}) == len(found)
        assert all(one["t"] == "x" for one in found)
    assert sweep.choices_of(parameters["properties"]["c"]) == [1, 2, 4, 8, 9]


def test_a_sweep_finds_the_fastest_parameters_and_seeds_use_them() -> None:
    def judge(on: Task, source: str) -> Any:
        fast = "9.0" if "block=512" in source else "2.0"
        return judged(on, source.replace("speed=3.0", f"speed={fast}"))

    on = task()
    io = ToldIO(told, judge)
    ended = finished(on, [attempt(0, "relu block=256 speed=2.0", on)], 0, BY_RECIPE)
    options = replace(OPTIONS, sweep=8)
    (one,) = library.load(memory.observe(None, ended, io, options)).skills
    assert one.tuned == {"block": 512}
    served = replace(one, status="verified")
    first = memory.seeds(snapshot(served), query(task("silu")), OPTIONS)[0]
    assert "block=512" in first.source
    none = replace(OPTIONS, sweep=0)
    (plain,) = library.load(memory.observe(None, ended, ToldIO(told, judge), none)).skills
    assert plain.tuned == {}


def test_what_a_sweep_finds_wrong_counts_against_the_skill() -> None:
    def judge(on: Task, source: str) -> Any:
        return judged(on, source + (" bug" if "block=512" in source else ""))

    on = task()
    ended = finished(on, [attempt(0, "relu block=256 speed=2.0", on)], 0, BY_RECIPE)
    known = memory.observe(None, ended, ToldIO(told, judge), replace(OPTIONS, sweep=8))
    (one,) = library.load(known).skills
    assert one.tuned == {"block": 256}
    assert {(t.kind, t.right) for t in one.evidence} >= {("sweep", True), ("sweep", False)}
    assert evidence.standing(one, VERIFIER).n == 2, "each instantiation once, however often timed"
