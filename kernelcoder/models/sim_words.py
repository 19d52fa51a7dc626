# SPDX-License-Identifier: Apache-2.0
"""How the simulated model answers the questions of step recipes: from the techniques of the kernels
it is asked about, as the recipe proposer does from parameters."""

from __future__ import annotations

import re

from kernelcoder.models import recipe_steps
from kernelcoder.models.recipe_steps import Params
from kernelcoder.models.recipes import Slot, Value
from kernelcoder.records import Request
from kernelcoder.simulation.form import OPTIONS, SLOTS, parse

_SUSPECT = re.compile(r"suspect: (\w+)")
_SLOTS = tuple(Slot(name, tuple(range(OPTIONS)), (1,) * OPTIONS, 0) for name in SLOTS)


def answer(request: Request) -> str:
    """The answer to a recipe's question, "" to any other."""
    return recipe_steps.answered(request, recipe_steps.Space(_SLOTS, _params, _suspected))


def _params(source: str) -> dict[str, Value] | None:
    kernel = parse(source)
    return dict(zip(SLOTS, kernel.choices, strict=True)) if kernel else None


def _suspected(params: Params, words: str) -> tuple[str, Value, str] | None:
    """The technique that is suspected first, to be left out."""
    found = _SUSPECT.search(words)
    if found is None or not params.get(found[1]):
        return None
    return found[1], 0, found[0]
