# SPDX-License-Identifier: Apache-2.0
"""The recipe provider: deterministic replies, parents read back, repairs from feedback."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from models.recipe_table import RECIPES

from kernelcoder.history import random_key
from kernelcoder.models import recipe, recipes
from kernelcoder.records import Message, Request, Sampling

OPTIONS = recipe.Options(id="recipe:v1")


def request(role: str = "draft", *texts: str, op: str = "softmax", key: object = 0) -> Request:
    messages = (Message("system", "Rules."), *(Message("user", text) for text in texts))
    return Request(
        model="recipe:v1",
        messages=messages,
        sampling=Sampling(1.0, 4096, 1),
        key=random_key("test", key),
        task=f"core/{op}",
        role=role,
        recipe=RECIPES[op],
    )


def section(params: dict[str, object], feedback: str, op: str = "softmax") -> str:
    code = recipes.render(RECIPES[op], params)  # type: ignore[arg-type]
    return f"## Kernel to work on: attempt 1\n\n```cpp\n{code}```\n\nFeedback:\n\n{feedback}"


def code_of(text: str) -> str:
    found = re.findall(r"^```cpp\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def params_of(text: str) -> dict[str, object]:
    parsed = recipes.parse(code_of(text))
    assert parsed is not None
    return dict(parsed[1])


SAFE = {slot.name: slot.safe for slot in recipes.slots_of(RECIPES["softmax"])}


def test_it_is_ready_and_says_what_it_is(tmp_path: Path) -> None:
    assert recipe.ready(OPTIONS) == "" and recipe.language_model is False
    model = recipe.open(OPTIONS, tmp_path)
    reply = model.complete(request())
    assert reply.finish == "stop" and "no language model" in reply.served
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (0, 0)
    assert reply.usage.cost_usd == 0.0 and reply.latency_s >= 0.0
    assert code_of(reply.text) in reply.text and not list(tmp_path.iterdir())
    model.close()
    model.close()


def test_the_key_alone_decides_a_draft() -> None:
    texts = [recipe.propose(request(key=key)) for key in range(20)]
    assert texts == [recipe.propose(request("draft", "other words", key=key)) for key in range(20)]
    assert len(set(texts)) > 15


@pytest.mark.parametrize("op", sorted(RECIPES))
def test_drafts_lie_in_the_space(op: str) -> None:
    space = recipes.space(RECIPES[op])
    for key in range(20):
        params = params_of(recipe.propose(request(op=op, key=key)))
        assert all(params[slot] in choices for slot, choices in space.items())


def test_a_refinement_moves_one_or_two_slots_of_the_last_kernel() -> None:
    first = section(
        {**SAFE, "lanes": 1, "unroll": 8, "approx": "libm"}, "verified, 0.2x over eager"
    )
    last = section(SAFE, "verified, 1.4x over eager")
    for key in range(30):
        params = params_of(recipe.propose(request("refine", f"{first}\n\n{last}", key=key)))
        assert sum(params[slot] != SAFE[slot] for slot in SAFE) in (1, 2)


def test_a_cross_mixes_the_last_two_kernels() -> None:
    other = {slot: choices[0] for slot, choices in recipes.space(RECIPES["softmax"]).items()}
    text = f"{section(other, 'verified')}\n\n{section(SAFE, 'verified')}"
    children = [params_of(recipe.propose(request("cross", text, key=key))) for key in range(20)]
    assert all(child[slot] in (other[slot], SAFE[slot]) for child in children for slot in SAFE)
    assert any(child != other and child != SAFE for child in children)


@pytest.mark.parametrize(
    ("slot", "value", "feedback"),
    [
        ("layout", "dense", "input strides ignored (the buffer was read as if contiguous)"),
        ("align", "64", "Verdict: crashed - it uses memory that is not its own (SIGSEGV)"),
        ("tail", "none", "output not written in the last 1 of 33 columns of every row"),
        ("approx", "low", "too inaccurate (typical relative error 2^-17, a coarse approximation)"),
        ("acc", "element", "1 of 16 hidden cases are wrong; first input 37x139, f16, contiguous"),
        ("algorithm", "no-max", "NaN where a number is expected (overflow, 0/0 or a spread NaN)"),
    ],
)
def test_debugging_moves_what_the_feedback_points_at(slot: str, value: str, feedback: str) -> None:
    broken = {**SAFE, slot: value}
    for key in range(10):
        text = recipe.propose(request("debug", section(broken, feedback), key=key))
        assert params_of(text)[slot] == SAFE[slot]
        assert f"{slot} {value} -> {SAFE[slot]}" in text


def test_debugging_without_a_clue_still_changes_something() -> None:
    for key in range(10):
        text = recipe.propose(request("debug", section(SAFE, "wrong values everywhere"), key=key))
        assert params_of(text) != SAFE


def test_words_in_the_code_are_no_feedback() -> None:
    parents = recipe.parents_of(request("debug", section(SAFE, "wrong values")))
    assert [params for params, _ in parents] == [SAFE]
    assert "kernelcoder.h" not in parents[0][1] and "wrong values" in parents[0][1]


def test_kernels_of_other_families_and_by_hand_are_no_parents() -> None:
    rope = recipes.render(RECIPES["rope"], {})
    broken = recipes.render(RECIPES["softmax"], SAFE).replace('"lanes": 8', '"lanes": 7')
    text = "\n\n".join(f"## Example\n\n```cpp\n{code}```" for code in (rope, broken, "int x;\n"))
    assert recipe.parents_of(request("refine", text)) == []
    assert params_of(recipe.propose(request("refine", text))) == params_of(
        recipe.propose(request("draft"))
    )


def test_a_rewrite_draws_anew() -> None:
    text = section(SAFE, "verified")
    drafts = [params_of(recipe.propose(request("rewrite", text, key=key))) for key in range(5)]
    assert drafts == [params_of(recipe.propose(request(key=key))) for key in range(5)]


def test_a_task_without_a_recipe_gets_a_sentence() -> None:
    text = recipe.propose(replace(request(), recipe={}))
    assert "no kernel recipe" in text and "core/softmax" in text and "```" not in text
