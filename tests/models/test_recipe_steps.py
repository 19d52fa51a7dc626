# SPDX-License-Identifier: Apache-2.0
"""The recipe proposer under step recipes: it answers their questions, follows what it is told, and
marks constants that are nothing but constants."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from typing import Any

import pytest

from benchmarks import core
from kernelcoder.models import recipe, recipe_steps, recipes, sim_words
from kernelcoder.models.recipe_notes import wishes
from kernelcoder.prompts import Parts, fill, question, render
from kernelcoder.records import Attempt, Candidate, Proposal, Request, Sampling, Usage, Verdict
from kernelcoder.simulation import form
from kernelcoder.steps import ideas, plan_code
from kernelcoder.steps.diagnose import read as read_diagnosis
from kernelcoder.steps.tuning import tunables

LANGUAGES = ("cpp", "cuda", "metal", "triton")


def data_of(name: str, language: str = "cpp") -> dict[str, Any]:
    found = dict(core.load(name).recipe)
    return found if language == "cpp" else found | {"language": language}


def ask(role: str, data: dict[str, Any], key: str = "ab" * 32, **more: Any) -> str:
    messages = question(Parts(core.load("relu"), "contract", "cpp"), "system", "instruction")
    request = Request("recipe:v1", messages, Sampling(1.0, 100, 0), key, "core/relu", role, data)
    return recipe.propose(dataclasses.replace(request, **more))


def draw(name: str, key: int = 0, **params: Any) -> str:
    data = data_of(name)
    return recipes.render(data, {**recipes.draw(data, random.Random(key)), **params})


@pytest.mark.parametrize("name", core.names())
def test_plans_and_ideas_name_choices_of_the_task(name: str) -> None:
    data = {"recipe": data_of(name), "count": 4, "source": ""}
    space = recipes.space(data["recipe"])
    plans = plan_code.read(json.loads(ask("plans", {"kind": "plans", **data})))
    said = ideas.read(json.loads(ask("ideas", {"kind": "ideas", **data})))
    assert len(plans) == len(said) == 4
    for text in [*(plan.text for plan in plans), *said]:
        named = wishes(text)
        assert named
        for wish in named:
            assert wish.value in [recipe_steps.spelled(one) for one in space[wish.name]]
    assert len(ideas.distinct(said, 0.7)) == 4, "another slot is another idea"


def test_plans_for_a_kernel_move_it() -> None:
    source = draw("matmul")
    params = recipes.parse(source)
    assert params is not None
    for key in range(20):
        data = {"kind": "plans", "recipe": data_of("matmul"), "count": 5, "source": source}
        for plan in plan_code.read(json.loads(ask("plans", data, key=f"{key:064x}"))):
            for wish in wishes(plan.text):
                assert recipe_steps.spelled(params[1][wish.name]) != wish.value


def test_the_diagnosis_of_a_failure_is_what_the_verdict_points_at() -> None:
    source = draw("relu", tail="none")
    data = {"kind": "diagnose", "recipe": data_of("relu"), "source": source, "verified": False}
    found = read_diagnosis(
        json.loads(ask("diagnose", {**data, "digest": "the last 3 elements are not written"}))
    )
    assert (found.bottleneck, found.change) == ("correctness", "Take `tail = partial`.")
    assert "not written" in found.evidence or "last 3" in found.evidence
    right = ask("diagnose", {**data, "verified": True, "digest": "Speed over eager: 0.5"})
    assert read_diagnosis(json.loads(right)).evidence == "Speed over eager: 0.5"


def test_the_look_back_names_what_failed() -> None:
    before, after = draw("relu", lanes=4), draw("relu", lanes=16)
    data = {"kind": "reflect", "recipe": data_of("relu"), "source": after, "before": before}
    said = ask("reflect", {**data, "outcome": "incorrect"})
    assert [str(wish) for wish in wishes(said)] == ["avoid `lanes = 16`"]
    assert not wishes(ask("reflect", {**data, "outcome": "verified"}))


@pytest.mark.parametrize("kind", ["plans", "ideas", "diagnose", "reflect", "else"])
def test_what_it_does_not_know_it_answers_with_nothing(kind: str) -> None:
    data = {"kind": kind, "recipe": {}, "source": "", "count": 3, "before": "", "outcome": ""}
    assert ask(kind, data) == ""


def written(thought: str, role: str = "draft", key: str = "cd" * 32) -> dict[str, Any]:
    task = core.load("matmul")
    parts = Parts(task, "contract", "cpp", thoughts=(thought,) if thought else (), role=role)
    if role == "refine":
        source = draw("matmul")
        verdict = Verdict("incorrect", "compiled", "wrong")
        parent = Attempt(0, Proposal("draft"), Candidate(source, "cpp", "cpu"), verdict, Usage())
        parts = dataclasses.replace(parts, parents=((parent, "wrong values"),))
    request = Request(
        "recipe:v1", render(parts), Sampling(1.0, 100, 0), key, task.id, role, data_of("matmul")
    )
    found = recipes.parse(recipe.propose(request))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("role", ["draft", "refine"])
def test_thoughts_are_followed(role: str) -> None:
    plain = written("", role)
    for size in (1, 12):
        told = written(f"Take `tile_m = {size}`.", role)
        assert told["tile_m"] == size
        assert {**told, "tile_m": 0} == {**plain, "tile_m": 0}, "and nothing else changes"
    assert written(f"avoid `tile_m = {plain['tile_m']}`", role)["tile_m"] != plain["tile_m"]


def test_marks_are_made_where_the_prompt_asks_for_them() -> None:
    task = core.load("relu")
    thought = fill("steps/tunables", example="// tune: TILE = 64 {16, 64}\nint TILE = 64;")
    for thoughts in ((), (thought,)):
        parts = Parts(task, "contract", "cpp", thoughts=thoughts)
        data = data_of("relu")
        request = Request("r", render(parts), Sampling(1, 1, 0), "ef" * 32, task.id, recipe=data)
        found = [one.name for one in tunables.find(recipe.propose(request))]
        assert found == (["BLOCK"] if thoughts else [])


def code(source: str) -> list[str]:
    """The lines that are no comments."""
    return [line for line in source.split("\n") if not re.match(r"\s*(//|# )", line)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["relu", "sum_last", "softmax", "rope", "matmul"])
def test_turning_a_marked_constant_is_rendering_with_another_choice(
    name: str, language: str
) -> None:
    data = data_of(name, language)
    for key in range(12):
        params = recipes.draw(data, random.Random(key))
        source = recipes.marked(data, recipes.render(data, params), params)
        assert recipes.parse(source) == (data["family"], params)
        marked = tunables.find(source)
        for setting in tunables.variants(marked, 6, random.Random(key)):
            swept = tunables.put(source, marked, setting)
            found = recipes.parse(swept)
            assert found is not None
            assert code(swept) == code(recipes.render(data, found[1]))
            moved = [one.name for one in marked if setting[one.name] != one.value]
            changed = [name for name in params if params[name] != found[1][name]]
            assert len(changed) == len(moved)


def test_something_is_marked_for_most_families() -> None:
    found = set()
    for name in core.names():
        for language in LANGUAGES:
            data = data_of(name, language)
            for key in range(8):
                params = recipes.draw(data, random.Random(key))
                source = recipes.marked(data, recipes.render(data, params), params)
                if tunables.find(source):
                    found.add((data["family"], language))
    assert {family for family, _ in found} == {"pointwise", "reduce", "rownorm", "rope", "matmul"}
    assert {("pointwise", "cpp"), ("matmul", "cpp"), ("matmul", "cuda")} <= found


@pytest.mark.parametrize("kind", ["plans", "ideas", "diagnose", "reflect"])
def test_the_simulated_model_answers_from_its_techniques(kind: str) -> None:
    source = form.render(form.Kernel((1, 2, 3, 0, 1, 2)))
    before = form.render(form.Kernel((1, 2, 2, 0, 1, 2)))
    data = {"kind": kind, "recipe": {"family": "sim-a"}, "source": source, "count": 3}
    data |= {"before": before, "outcome": "incorrect", "verified": False}
    data["digest"] = "incorrect\n- suspect: vector"
    said = sim_words.answer(
        Request("sim", (), Sampling(1, 1, 0), "ab" * 32, role=kind, recipe=data)
    )
    named = {(wish.name, wish.value, wish.good) for wish in wishes(said)}
    assert named and all(name in form.SLOTS and value in "0123" for name, value, _ in named)
    if kind == "diagnose":
        assert named == {("vector", "0", True)}
    if kind == "reflect":
        assert named == {("vector", "3", False)}
