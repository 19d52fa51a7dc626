# SPDX-License-Identifier: Apache-2.0
"""Kernel recipes: kernels with typed slots instead of decisions.

A task's ``recipe`` data names a family and what it needs (an expression, an operation), and
the language where it is not C++. Each family of a language is a module here with
``space(recipe) -> tuple[Slot, ...]`` and ``render(recipe, params) -> str``. A
set of parameters fills every slot; rendered files carry theirs in a comment, so a kernel alone is
enough to take up the search where it stands. The spaces hold fast, slow and wrong points on
purpose: they are the choices and mistakes of people who write kernels.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import (
    cuda_matmul,
    cuda_pointwise,
    cuda_rope,
    cuda_rows,
    matmul,
    metal_matmul,
    metal_pointwise,
    metal_rope,
    metal_rows,
    pointwise,
    reduce,
    rope,
    rownorm,
    slots,
    triton_matmul,
    triton_pointwise,
    triton_rope,
    triton_rows,
    tuned,
)
from kernelcoder.models.recipes.slots import Params, Slot, Value

_FAMILIES = {
    "pointwise": pointwise,
    "reduce": reduce,
    "rownorm": rownorm,
    "rope": rope,
    "matmul": matmul,
}
# Families of other languages than C++; what is not here takes C++ kernels.
_LANGUAGES: Mapping[str, Mapping[str, Any]] = {
    "cuda": {
        "pointwise": cuda_pointwise,
        "reduce": cuda_rows,
        "rownorm": cuda_rows,
        "rope": cuda_rope,
        "matmul": cuda_matmul,
    },
    "metal": {
        "pointwise": metal_pointwise,
        "reduce": metal_rows,
        "rownorm": metal_rows,
        "rope": metal_rope,
        "matmul": metal_matmul,
    },
    "triton": {
        "pointwise": triton_pointwise,
        "reduce": triton_rows,
        "rownorm": triton_rows,
        "rope": triton_rope,
        "matmul": triton_matmul,
    },
}
_MARK = re.compile(r"^(?://|#) recipe: (\w+) (\{.*\})\s*$", re.MULTILINE)

__all__ = [
    "Params", "Slot", "Value", "complete", "cross", "draw", "instantiable", "marked", "parse",
    "perturb", "render", "slots_of", "space",
]  # fmt: skip


def _family(recipe: Mapping[str, Any]) -> Any:
    """The module that renders this data, or None."""
    families = _LANGUAGES.get(str(recipe.get("language")), _FAMILIES)
    return families.get(str(recipe.get("family")))


def slots_of(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots with weights and safe choices. Raises ``ValueError`` for an unknown recipe."""
    family = _family(recipe)
    if family is None:
        known = ", ".join(_FAMILIES)
        raise ValueError(f"unknown recipe family {recipe.get('family')!r}; one of {known}")
    try:
        found: tuple[Slot, ...] = family.space(recipe)
    except KeyError as missing:
        raise ValueError(f"a {recipe['family']} recipe needs {missing}") from None
    return found


def instantiable(recipe: Mapping[str, Any]) -> bool:
    """Whether a kernel can be rendered from this data."""
    try:
        slots_of(recipe)
    except ValueError:
        return False
    return True


def space(recipe: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    """Slot name -> its choices, both in order."""
    return {slot.name: slot.choices for slot in slots_of(recipe)}


def draw(recipe: Mapping[str, Any], rng: random.Random) -> dict[str, Value]:
    """Every slot filled at random, by the weights of its choices."""
    return slots.draw(slots_of(recipe), rng)


def perturb(recipe: Mapping[str, Any], params: Params, rng: random.Random) -> dict[str, Value]:
    """One or two slots moved, on a scale mostly to a neighbor."""
    return slots.perturb(slots_of(recipe), params, rng)


def cross(recipe: Mapping[str, Any], a: Params, b: Params, rng: random.Random) -> dict[str, Value]:
    """Each slot from one of two parents."""
    return slots.cross(slots_of(recipe), a, b, rng)


def complete(recipe: Mapping[str, Any], params: Params) -> dict[str, Value]:
    """Every slot of the space filled: missing ones safe, unknown ones dropped; a value outside the
    space raises ``ValueError``."""
    return slots.complete(slots_of(recipe), params)


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """A whole file. Slots missing in ``params`` take their safe choice, unknown ones are
    dropped; a value outside the space raises ``ValueError``."""
    full = complete(recipe, params)
    source: str = _family(recipe).render(recipe, full)
    return source


def marked(recipe: Mapping[str, Any], source: str, params: Params) -> str:
    """A rendered file with a line above each constant that a parameter sweep may turn."""
    return tuned.mark(source, str(recipe["family"]), slots_of(recipe), complete(recipe, params))


def parse(source: str) -> tuple[str, dict[str, Value]] | None:
    """Family and parameters of a rendered file (as swept, if it was), None for any other text."""
    match = _MARK.search(source)
    if not match or match.group(1) not in _FAMILIES:
        return None
    try:
        return match.group(1), tuned.current(source, match.group(1), json.loads(match.group(2)))
    except json.JSONDecodeError:
        return None
