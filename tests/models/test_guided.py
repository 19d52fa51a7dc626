# SPDX-License-Identifier: Apache-2.0
"""What guided mode asks: the questions, without the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kernelcoder.models import guided, recipes
from kernelcoder.prompts import Parts, render
from kernelcoder.records import (
    Attempt,
    Candidate,
    CaseResult,
    Message,
    Proposal,
    Request,
    Sampling,
    Usage,
    Verdict,
)
from kernelcoder.task import Arg, Case, Task

POINTWISE = {"family": "pointwise", "inputs": ["x"], "expr": "SECRET(x)"}
MATMUL = {"family": "matmul"}


def make_task(recipe: dict[str, Any]) -> Task:
    shapes = {"x": (2, 3), "y": (2, 3)}
    arg = Arg("x", ("...",))
    return Task(
        "core", "op", "Operation", "c", (arg,), (Arg("y", ("...",)),), (),
        "Wave: y = 0.5 * x, said the sea. More words.", "def reference(x):\n    return x",
        None, None, (Case("small", shapes, "f32"),), None, (), None, None, recipe=recipe,
    )  # fmt: skip


def attempt(ordinal: int, source: str, right: bool) -> Attempt:
    case = CaseResult("small", (2, 3), "f32", "contiguous", ok=right)
    verdict = (
        Verdict("verified", "verified", "all right", cases=(case,))
        if right
        else Verdict("incorrect", "compiled", "tail unwritten", cases=(case,))
    )
    return Attempt(ordinal, Proposal("draft"), Candidate(source, "cpp", "cpu"), verdict, Usage())


def make_request(
    recipe: dict[str, Any], role: str = "draft", seed: int = 1, parents: tuple[Attempt, ...] = ()
) -> Request:
    parts = Parts(
        make_task(recipe), "contract", "cpp", role=role, parents=tuple((p, "why") for p in parents)
    )
    return Request(
        "embedded:guided", render(parts), Sampling(1.0, 512, seed), "k", "core/op", role, recipe
    )


def kernel(recipe: dict[str, Any], **params: Any) -> str:
    safe = {slot.name: slot.safe for slot in recipes.slots_of(recipe)}
    return recipes.render(recipe, {**safe, **params})


def test_the_task_line_is_title_and_first_sentence() -> None:
    request = make_request(POINTWISE)
    assert guided.task_line(request) == "Operation: Wave: y = 0.5 * x, said the sea"


def test_core_task_lines_keep_one_form_of_the_equation() -> None:
    from benchmarks import core

    lines = {}
    for name in ("relu", "silu", "swiglu"):
        request = make_request(POINTWISE)
        parts = Parts(core.load(name), "contract", "cpp")
        lines[name] = guided.task_line(dataclasses.replace(request, messages=render(parts)))
    assert lines["relu"].endswith("y = max(x, 0) element by element")
    assert lines["silu"].endswith("y = x * sigmoid(x)")
    assert lines["swiglu"].endswith("with silu(g) = g * sigmoid(g)")


def test_without_a_task_section_the_name_is_used() -> None:
    request = Request("m", (Message("user", "x"),), Sampling(1, 9, 1), "k", "core/op")
    assert guided.task_line(request) == "op"


def test_expression_prompt_ends_at_a_token_boundary_and_hides_the_answer() -> None:
    prompt = guided.expression_prompt(make_request(POINTWISE), None)
    assert prompt.endswith("float y =")
    assert "SECRET" not in prompt
    assert prompt.count("float y =") == 4
    other = guided.expression_prompt(make_request(POINTWISE, seed=2), None)
    assert prompt != other


@pytest.mark.parametrize("example", guided.EXAMPLES)
def test_a_task_never_sees_its_own_expression_as_example(example: tuple[Any, ...]) -> None:
    _, inputs, solution = example
    recipe = {**POINTWISE, "inputs": list(inputs), "expr": solution.replace(" ", "")}
    for seed in range(20):
        prompt = guided.expression_prompt(make_request(recipe, seed=seed), None)
        assert f"= {solution};" not in prompt


def test_examples_are_no_core_tasks() -> None:
    from benchmarks import core

    answers = {
        str(core.load(name).recipe.get("expr", "")).replace(" ", "") for name in core.names()
    }
    assert not answers & {solution.replace(" ", "") for _, _, solution in guided.EXAMPLES}


def test_examples_render() -> None:
    for _, inputs, solution in guided.EXAMPLES:
        recipe = {"family": "pointwise", "inputs": list(inputs), "expr": solution}
        assert "void kernel(" in recipes.render(recipe, {})


def ask(request: Request) -> tuple[dict[str, Any], str]:
    parents = guided.find_parents(request, str(request.recipe["family"]))
    return guided.slots_question(request, request.recipe, parents)


def must_change(left: dict[str, Any], base: dict[str, Any]) -> list[str]:
    return [name for name in base if base[name] not in left[name]]


def test_a_draft_must_differ_from_the_safe_setting() -> None:
    space = recipes.space(MATMUL)
    safe = {slot.name: slot.safe for slot in recipes.slots_of(MATMUL)}
    seen = set()
    for seed in range(20):
        left, question = ask(make_request(MATMUL, seed=seed))
        assert all(choices and set(choices) <= set(space[name]) for name, choices in left.items())
        names = must_change(left, safe)
        assert len(names) == guided.CHANGED_IN_DRAFT
        assert f"Change {', '.join(names)} to make it faster" in question
        seen.add(tuple(names))
    assert len(seen) > 5


def test_what_is_rare_among_people_is_rarely_on_offer() -> None:
    offers = [ask(make_request(MATMUL, seed=seed))[0]["tail"] for seed in range(200)]
    rare = sum("none" in choices for choices in offers)
    assert 0 < rare < 80


def test_a_refinement_starts_from_its_parent() -> None:
    parent = attempt(3, kernel(MATMUL, tile_m=6, pack="both"), right=True)
    left, question = ask(make_request(MATMUL, "refine", parents=(parent,)))
    assert '"tile_m": 6' in question and '"pack": "both"' in question
    assert "Outcome: verified" in question and "faster" in question
    base = {slot.name: slot.safe for slot in recipes.slots_of(MATMUL)}
    base |= {"tile_m": 6, "pack": "both"}
    assert len(must_change(left, base)) == guided.CHANGED_IN_REFINEMENT


def test_a_failed_parent_is_to_be_made_right() -> None:
    parent = attempt(3, kernel(MATMUL), right=False)
    _, question = ask(make_request(MATMUL, "debug", parents=(parent,)))
    assert "Outcome: incorrect: tail unwritten" in question and "make it right" in question


def test_a_cross_chooses_between_its_parents() -> None:
    one = attempt(1, kernel(MATMUL, tile_m=6), right=True)
    two = attempt(2, kernel(MATMUL, tile_m=12), right=True)
    left, question = ask(make_request(MATMUL, "cross", parents=(one, two)))
    assert left["tile_m"] == (6, 12) and left["pack"] == ("none",)
    assert "Setting 1" in question and "Setting 2" in question


def test_the_expression_of_a_parent_is_found_again() -> None:
    recipe = {**POINTWISE, "expr": "0.5f * x"}
    source = f"// expression by the model: y = 0.5f * x\n{kernel(recipe)}"
    request = make_request(recipe, "refine", parents=(attempt(1, source, right=True),))
    (parent,) = guided.find_parents(request, "pointwise")
    assert parent.expr == "0.5f * x" and parent.verified
    assert "Not 0.5f * x" in guided.expression_prompt(request, parent)


def test_foreign_and_broken_parents_are_no_parents() -> None:
    for source in ("int a;", "// recipe: rope {}\n", "// recipe: matmul {broken\n"):
        request = make_request(MATMUL, "refine", parents=(attempt(1, source, right=True),))
        assert guided.find_parents(request, "matmul") == []


def test_values_outside_the_space_fall_back_to_the_safe_ones() -> None:
    source = '// recipe: matmul {"tile_m": 999, "lanes": true, "odd": 1}\n'
    _, question = ask(make_request(MATMUL, "refine", parents=(attempt(1, source, right=True),)))
    assert "999" not in question and "odd" not in question and "true" not in question
