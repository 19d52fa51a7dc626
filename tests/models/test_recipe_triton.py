# SPDX-License-Identifier: Apache-2.0
"""Recipes in Triton: drawing, rendering, reading back, and what the verifier says of them."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from models.recipe_table import RECIPES

from benchmarks import core
from kernelcoder.backends import triton as backend
from kernelcoder.models import recipes
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

NAMES = tuple(RECIPES)
OPTIONS = VerifyOptions(False, 20, 60, 1024, 1, "eager", False, 4)
# A slot moved to a mistake, task by task, and what a verdict says.
MISTAKES = (
    ("relu", "bounds", "stores", "writes outside"),
    ("relu", "nan", "swallow", "NaN of the input"),
    ("softmax", "algorithm", "no-max", "NaN where|infinity|number is expected"),
    ("max_last", "init", "zero", "zero"),
    ("rmsnorm", "eps", "outside", "eps|scaled|wrong values"),
    ("layernorm", "padding", "counted", "scaled|wrong values"),
    ("rope", "pairing", "interleaved", "wrong values"),
    ("matmul", "tail", "unchecked", "reads outside"),
)


def in_triton(name: str) -> Mapping[str, Any]:
    return {**RECIPES[name], "language": "triton"}


@pytest.mark.parametrize("name", NAMES)
def test_a_rendered_file_is_python_and_carries_its_parameters(name: str) -> None:
    recipe, rng = in_triton(name), random.Random(name)
    for _ in range(40):
        params = recipes.draw(recipe, rng)
        source = recipes.render(recipe, params)
        assert recipes.parse(source) == (recipe["family"], params)
        defined = {
            node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
        }
        assert "kernel" in defined and len(defined) >= 2
        assert "@" not in source.replace("@triton.jit", ""), "a mark was left unfilled"


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_changes_the_file(name: str) -> None:
    recipe = in_triton(name)
    safe = {slot.name: slot.safe for slot in recipes.slots_of(recipe)}
    for slot, choices in recipes.space(recipe).items():
        bodies = {recipes.render(recipe, {**safe, slot: c}).split("\n", 1)[1] for c in choices}
        assert len(bodies) == len(choices), f"{slot} changes nothing"


def test_numbers_lose_their_suffix_and_names_stay() -> None:
    recipe = {**in_triton("relu"), "expr": "0.5f * x - .5e0f + 2", "inputs": ["x"]}
    assert "y = 0.5 * x - .5e0 + 2\n" in recipes.render(recipe, {})


@pytest.mark.parametrize("op", ["product", "batchnorm"])
def test_an_unknown_operation_is_refused(op: str) -> None:
    recipe = {"family": "reduce", "op": op, "language": "triton"}
    assert not recipes.instantiable(recipe)


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    available = backend.probe()
    if available.mode is None:
        pytest.skip(available.reason)
    made = backend.open_verifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


def judge(verifier: Verifier, name: str, params: Mapping[str, recipes.Value]) -> Verdict:
    task = core.load(name)
    source = recipes.render({**task.recipe, "language": "triton"}, params)
    return verifier.verify(task, Candidate(source, "python", "triton"), "5eed")


@pytest.mark.slow
@pytest.mark.parametrize("name", core.names())
def test_the_safe_point_is_verified(verifier: Verifier, name: str) -> None:
    verdict = judge(verifier, name, {})
    assert verdict.verified, (verdict.reason, verdict.log)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "slot", "value", "says"), MISTAKES)
def test_a_point_with_a_mistake_is_rejected(
    verifier: Verifier, name: str, slot: str, value: str, says: str
) -> None:
    verdict = judge(verifier, name, {slot: value})
    assert verdict.status in ("incorrect", "runtime_error")
    assert re.search(says, verdict.reason), verdict.reason
