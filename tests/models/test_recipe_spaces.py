# SPDX-License-Identifier: Apache-2.0
"""Recipe spaces: drawing, moving, mixing, rendering and reading back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from models.recipe_table import RECIPES

from kernelcoder.models import recipes
from kernelcoder.models.recipes.slots import Slot

NAMES = tuple(RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_a_rendered_file_carries_its_parameters(name: str) -> None:
    recipe, rng = RECIPES[name], random.Random(name)
    for _ in range(40):
        params = recipes.draw(recipe, rng)
        source = recipes.render(recipe, params)
        assert recipes.parse(source) == (recipe["family"], params)
        assert recipes.parse("// a note above\n" + source) == (recipe["family"], params)
        assert source.startswith("// recipe: ") and 'extern "C" void kernel(' in source
        assert source.count("{") == source.count("}")
        assert "@" not in source.split("\n", 1)[1], "a mark was left unfilled"
        assert source == recipes.render(recipe, dict(reversed(params.items())))[: len(source)]


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_is_drawn_and_changes_the_file(name: str) -> None:
    recipe, rng = RECIPES[name], random.Random(1)
    seen: dict[str, set[object]] = {slot: set() for slot in recipes.space(recipe)}
    for _ in range(600):
        for slot, value in recipes.draw(recipe, rng).items():
            seen[slot].add(value)
    assert seen == {slot: set(choices) for slot, choices in recipes.space(recipe).items()}
    safe = {slot.name: slot.safe for slot in recipes.slots_of(recipe)}
    body = recipes.render(recipe, safe).split("\n", 1)[1]
    for slot, choices in recipes.space(recipe).items():
        bodies = {recipes.render(recipe, {**safe, slot: c}).split("\n", 1)[1] for c in choices}
        assert body in bodies and len(bodies) == len(choices), f"{slot} changes nothing"


@pytest.mark.parametrize("name", NAMES)
def test_perturb_moves_one_or_two_slots_within_the_space(name: str) -> None:
    recipe, rng = RECIPES[name], random.Random(2)
    space = recipes.space(recipe)
    for _ in range(100):
        params = recipes.draw(recipe, rng)
        moved = recipes.perturb(recipe, params, rng)
        assert list(moved) == list(space)
        assert all(moved[slot] in space[slot] for slot in space)
        assert sum(moved[slot] != params[slot] for slot in space) in (1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_cross_takes_each_slot_from_a_parent(name: str) -> None:
    recipe, rng = RECIPES[name], random.Random(3)
    a, b = recipes.draw(recipe, rng), recipes.draw(recipe, rng)
    children = [recipes.cross(recipe, a, b, rng) for _ in range(60)]
    assert all(child[slot] in (a[slot], b[slot]) for child in children for slot in child)
    for slot in recipes.space(recipe):
        assert {child[slot] for child in children} == {a[slot], b[slot]}


def test_the_same_generator_gives_the_same_kernel() -> None:
    one, two = (recipes.draw(RECIPES["rope"], random.Random(9)) for _ in range(2))
    assert one == two
    assert one != recipes.draw(RECIPES["rope"], random.Random(10))


def test_moves_prefer_neighbors_on_a_scale() -> None:
    slot = Slot("depth", (1, 2, 4, 8, 16), (1, 1, 1, 1, 1), 1, ordered=True)
    rng = random.Random(4)
    moves = [slot.move(4, rng) for _ in range(500)]
    assert 4 not in moves
    assert 0.8 < sum(move in (2, 8) for move in moves) / 500 < 0.98


def test_missing_slots_are_safe_and_unknown_ones_are_dropped() -> None:
    recipe = RECIPES["matmul"]
    full = recipes.complete(recipe, {"lanes": 16, "color": "blue"})
    assert full["lanes"] == 16 and full["layout"] == "strides" and "color" not in full
    assert recipes.parse(recipes.render(recipe, {"lanes": 16})) == ("matmul", full)


@pytest.mark.parametrize("params", [{"lanes": 3}, {"lanes": "16"}, {"lanes": True}])
def test_a_value_outside_the_space_is_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="lanes"):
        recipes.render(RECIPES["sum"], params)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"family": "convolution"},
        {"family": "reduce"},
        {"family": "reduce", "op": "product"},
        {"family": "rownorm", "op": "batchnorm"},
        {"family": "pointwise", "inputs": ["x"]},
        {"family": "pointwise", "inputs": ["x"], "expr": "y + 1.0f"},
        {"family": "pointwise", "inputs": ["x"], "expr": "system(x)"},
        {"family": "pointwise", "inputs": ["x"], "expr": "x; x"},
        {"family": "pointwise", "inputs": ["x"], "expr": 'x + "a"'},
    ],
)
def test_what_cannot_be_instantiated_says_so(recipe: dict[str, object]) -> None:
    assert not recipes.instantiable(recipe)
    with pytest.raises(ValueError, match=r"\w"):
        recipes.space(recipe)


def test_slots_follow_the_expression() -> None:
    plain = {"family": "pointwise", "inputs": ["x"], "expr": "x * 2.0f"}
    assert not {"approx", "nan"} & set(recipes.space(plain))
    assert "nan" in recipes.space(RECIPES["relu"]) and "approx" in recipes.space(RECIPES["gelu"])


@pytest.mark.parametrize(
    "text", ["", "int main() {}", "// recipe: sonata {}", "// recipe: rope {broken}"]
)
def test_other_text_is_no_recipe(text: str) -> None:
    assert recipes.parse(text) is None


def test_every_core_task_has_a_recipe() -> None:
    from benchmarks import core

    for name in core.names():
        assert recipes.instantiable(core.load(name).recipe), name


def _build(cache: Path, recipe: object, params: dict[str, object]) -> None:
    from kernelcoder.verify.compile import Compiler

    source = recipes.render(recipe, params)  # type: ignore[arg-type]
    built = Compiler(cache, timeout_seconds=60).build(source)
    assert built.ok, f"{params}\n{built.log}"


def _covering(name: str) -> list[dict[str, object]]:
    """Parameter sets that together use every choice of every slot."""
    space = recipes.space(RECIPES[name])
    count = max(len(choices) for choices in space.values())
    return [
        {slot: choices[k % len(choices)] for slot, choices in space.items()} for k in range(count)
    ]


@pytest.mark.parametrize(
    "name", ["all_functions", "constant", "max", "layernorm", "rope", "matmul"]
)
def test_a_kernel_of_each_family_compiles(shared_cache: Path, name: str) -> None:
    _build(shared_cache, RECIPES[name], recipes.draw(RECIPES[name], random.Random(name)))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_choice_compiles(shared_cache: Path, name: str) -> None:
    for params in _covering(name):
        _build(shared_cache, RECIPES[name], params)
    if "algorithm" in recipes.space(RECIPES[name]):
        for algorithm in recipes.space(RECIPES[name])["algorithm"]:
            _build(shared_cache, RECIPES[name], {"algorithm": algorithm, "acc": "element"})
