# SPDX-License-Identifier: Apache-2.0
"""Parameter blocks: masked where the model can be masked, else checked and asked again (KW10)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from skill_doubles import ToldIO, skill, task

from kernelcoder.history import random_key
from kernelcoder.memory.skill import filling, validation
from kernelcoder.memory.skill.compiling import OPEN_TEXT, closed
from kernelcoder.models import embedded, embedded_weights, recipe, recipe_skill
from kernelcoder.records import Message, Request, Sampling

SCHEMA = closed(
    {
        "block": {"enum": [256, 512, 1024]},
        "unroll": {"type": "integer", "minimum": 1, "maximum": 8},
        "fast": {"type": "boolean"},
        "expr": OPEN_TEXT,
    }
)
DEFAULTS = {"block": 256, "unroll": 2, "fast": True, "expr": "max(x, 0)"}
GOOD = {"block": 512, "unroll": 4, "fast": False, "expr": "x * x"}
OPEN = skill(parameters=SCHEMA, defaults=DEFAULTS)


def filled(*answers: Any) -> tuple[Any, ToldIO]:
    left = [one if isinstance(one, str) else json.dumps(one) for one in answers]

    def answer(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    io = ToldIO(answer)
    return filling.fill(OPEN, task(), io), io


def test_a_valid_block_is_taken_at_once() -> None:
    found, io = filled(GOOD)
    assert found.data == GOOD and (found.asked, found.invalid) == (1, 0)
    assert io.asked[0][2]["schema"] == SCHEMA, "the schema travels, for models that can be masked"


@pytest.mark.parametrize(
    "bad",
    [
        {**GOOD, "block": 300},
        {**GOOD, "unroll": 9},
        {**GOOD, "unroll": "4"},
        {**GOOD, "expr": 'x; system("rm")'},
        {**GOOD, "expr": "x\n#include <y>"},
        {**GOOD, "lanes": 1},
        {"block": 512},
        "banana",
    ],
)
def test_an_invalid_block_is_asked_again_at_most_twice_and_counted(bad: Any) -> None:
    found, io = filled(bad)
    assert found.data is None and (found.asked, found.invalid) == (3, 3)
    mended, again = filled(bad, bad, GOOD)
    assert mended.data == GOOD and (mended.asked, mended.invalid) == (3, 2)
    assert "not valid" in again.asked[1][1][-1].content


def test_the_recipe_model_fills_within_the_schema() -> None:
    closed_only = closed({"block": {"enum": [256, 512, 1024]}, "side": {"enum": [8, 16]}})
    data = {"kind": "fill", "schema": closed_only, "defaults": {"block": 256, "side": 8}}
    seen = set()
    for number in range(20):
        request = Request("recipe:v1", (), Sampling(1, 9, 0), random_key(number), "", "fill", data)
        block = json.loads(recipe.propose(request))
        assert validation.problems(block, closed_only) == []
        seen.add(block["block"])
    assert len(seen) > 1


def test_the_recipe_model_says_nothing_about_kernels_by_hand() -> None:
    import random

    data = {"source": "banana", "title": "ReLU", "recipe": {"family": "pointwise"}}
    assert recipe_skill.skill(data, random.Random(0)) is None


@pytest.mark.parametrize("name", ["relu", "swiglu", "softmax", "sum_last", "matmul", "rope"])
@pytest.mark.parametrize("dialect", ["", "triton", "cuda", "metal"])
def test_templates_of_the_recipe_model_render_its_kernels(name: str, dialect: str) -> None:
    """Filled with any of its choices, a template is the kernel that the recipe renders."""
    import random

    import benchmarks.core as core
    from kernelcoder.memory.skill import template
    from kernelcoder.models import recipes

    on = core.load(name)
    family = {**on.recipe, **({"language": dialect} if dialect else {})}
    rng = random.Random(3)
    params = recipes.draw(family, rng)
    data = {"source": recipes.render(family, params), "title": on.title, "recipe": on.recipe}
    answer = recipe_skill.skill(data, rng)
    assert answer is not None
    assert validation.problems(answer["defaults"], answer["parameters"]) == []
    assert set(template.slots(answer["template"])) == {*answer["defaults"], *answer["bind"]}
    assert bool(answer["bind"]) == (on.recipe["family"] == "pointwise" and not dialect)
    if not answer["bind"]:
        for _ in range(3):
            slots = answer["parameters"]["properties"].items()
            chosen = {slot: rng.choice(one["enum"]) for slot, one in slots}
            filled_in = template.fill(answer["template"], chosen)
            assert filled_in == recipes.render(family, {**params, **chosen})


@pytest.mark.slow
@pytest.mark.skipif(
    bool(embedded_weights.missing()), reason=embedded_weights.missing() or "present"
)
def test_under_masks_the_embedded_model_cannot_leave_the_schema(tmp_path: Path) -> None:
    model = embedded.open(embedded.Options("embedded:guided"), tmp_path)
    try:
        blocks = []
        for seed in range(3):
            messages = (Message("user", "Choose parameters for ReLU. Answer with JSON."),)
            data = {"kind": "fill", "schema": SCHEMA, "defaults": DEFAULTS}
            sampling = Sampling(1.5, 256, seed)  # hot: without masks this is babble
            request = Request("embedded:guided", messages, sampling, "k", "core/relu", "fill", data)
            reply = model.complete(request)
            assert "grammar" in reply.sent
            blocks.append(json.loads(reply.text))
            assert validation.problems(blocks[-1], SCHEMA) == []
    finally:
        model.close()
