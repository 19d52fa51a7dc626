# SPDX-License-Identifier: Apache-2.0
"""Recipe search, no language model: kernels drawn from hand-written spaces of parameters.

A draft is a random point of the task's recipe space. A refinement reads the parent's parameters
out of the kernel in the prompt and moves one or two; debugging first moves what the feedback
points at to the choice that is right on every input; a cross mixes two parents. Notes in the prompt
that name choices bias drafts and refinements (recipe_notes.py); thoughts are followed, and
questions of step recipes answered from the parameters (recipe_steps.py). All randomness is
the request's key, so the same request always has the same reply. It is the baseline that every
language model must beat.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.history import random_key, rng_of
from kernelcoder.models import recipe_notes, recipe_steps, recipe_words, recipes, sections
from kernelcoder.models.recipe_repair import repair
from kernelcoder.models.recipes import Value
from kernelcoder.models.recipes.inline import inline
from kernelcoder.records import ROLES, Reply, Request, Usage

language_model = False
SERVED = "recipe:v1 (no language model)"

# Fence tags of dialects: languages that are Python files.
_TAGS = {"metal": "python", "triton": "python"}


@dataclass(frozen=True, slots=True)
class Options:
    """``id``: ``recipe:v1``."""

    id: str


def ready(options: Options) -> str:
    """Always ready: it needs nothing."""
    return ""


def open(options: Options, workdir: Path) -> Recipe:
    """The proposer; it keeps no state and starts nothing."""
    return Recipe()


class Recipe:
    """Answers every request from its key and its text alone."""

    concurrency = 1024

    def complete(self, request: Request) -> Reply:
        """One kernel, or a sentence where the task has no recipe."""
        begin = time.perf_counter()
        text = propose(request)
        usage = Usage(input_tokens=0, output_tokens=0, cost_usd=0.0)
        return Reply(text, "stop", usage, SERVED, time.perf_counter() - begin)

    def close(self) -> None:
        """Nothing to end."""


def propose(request: Request) -> str:
    """The reply's text: one sentence and the kernel in a fenced block. A role that writes no kernel
    is a question in words."""
    if request.role not in ROLES:
        return recipe_words.answer(request)
    recipe = request.recipe
    if not recipes.instantiable(recipe):
        return f"There is no kernel recipe for {request.task or 'this task'}."
    rng = rng_of(request.key or request.digest)
    parents = parents_of(request)
    notes = recipe_notes.noted(request.messages)
    heed = rng_of(random_key(request.key or request.digest, "notes"))
    said = "A random point of the recipe space."
    if request.role == "cross" and len(parents) > 1:
        params = recipes.cross(recipe, parents[-2][0], parents[-1][0], rng)
        said = "Each parameter from one of the two parents."
    elif request.role in ("refine", "debug", "cross") and parents:
        parent, feedback = parents[-1]
        params = dict(parent)
        if request.role == "debug":
            params = repair(recipe, parent, feedback, rng.random() < 0.5)
        if params == parent:
            wished = recipe_notes.moved(recipe, parent, notes, heed)
            params = wished or recipes.perturb(recipe, parent, rng)
        said = f"Changed from the parent: {_changes(parent, params)}."
    else:
        params = recipe_notes.heeded(recipe, recipes.draw(recipe, rng), notes, heed)
    told = recipe_notes.noted(request.messages, recipe_steps.TITLE)
    before, params = params, recipe_notes.heeded(recipe, params, told, heed, share=1.0)
    if params != before:
        said += f" Then as the thoughts say: {_changes(before, params)}."
    source = recipes.render(recipe, params)
    if recipe_steps.wants_marks(request.messages):
        source = recipes.marked(recipe, source, params)
    language = str(recipe.get("language", "cpp"))
    if language == "python":  # without kernels of its own: C++ that a Python file carries along
        source = inline(source)
    return f"{said}\n\n```{_TAGS.get(language, language)}\n{source}```\n"


def parents_of(request: Request) -> list[tuple[dict[str, Value], str]]:
    """Parameters and surrounding text of every kernel of this family in the prompt, in order; the
    last ones are the parents. Kernels whose parameters are outside the space are passed over."""
    found = []
    for message in request.messages:
        for section in sections.split(message.content):
            parsed = recipes.parse(section.body)
            if parsed is None or parsed[0] != request.recipe["family"]:
                continue
            try:
                params = recipes.complete(request.recipe, parsed[1])
            except ValueError:
                continue
            found.append((params, _outside_code(section.body)))
    return found


def _outside_code(body: str) -> str:
    """A section's text without its fenced code, where words like ``half`` mean nothing."""
    return re.sub(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", "", body, flags=re.MULTILINE | re.DOTALL)


def _changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> str:
    moved = [f"{name} {old[name]} -> {new[name]}" for name in new if new[name] != old[name]]
    return ", ".join(moved) or "nothing"
