# SPDX-License-Identifier: Apache-2.0
"""Step recipes: how one attempt is written. One recipe per file, chosen by RECIPE.

A recipe ``RECIPE_FOO`` is ``kernelcoder/steps/foo.py`` with

- ``Options``: a frozen dataclass without defaults, filled from ``RECIPE_FOO_*``;
- ``prepare(work: Work, io: IO, options) -> Work``: asks what it has to ask before the kernel is
  written; what came of it goes into ``work.parts.thoughts``;
- ``finish(work: Work, source: str, io: IO, options) -> str`` (optional): may try variants of the
  source that came back, and returns the one to be judged;
- ``calls: int``: the most model calls it adds to the one that writes the kernel;
- ``words: int`` (optional): estimated tokens that it adds to the prompt without a call.

Everything a recipe does goes through ``io``: recorded, charged to the attempt, and read back when
a run is resumed. A recipe keeps no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.prompts import Parts
from kernelcoder.records import Attempt, Message, Proposal
from kernelcoder.task import Task


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt before its kernel is written: the parts of its prompt and how it is sampled.
    ``messages`` replace the prompt that the parts make, where a recipe has one of its own.

    ``seen`` are the attempts visible when it was proposed; a draft must not look at them. ``root``
    is the hex random key of the task in this run: what questions are shared under that belong to
    no attempt. ``notes`` say what did not go as planned. ``recipe`` is the task as structured data,
    for models that are no language models."""

    task: Task
    backend: str
    proposal: Proposal
    parts: Parts
    temperature: float
    max_tokens: int
    messages: tuple[Message, ...] = ()
    seen: tuple[Attempt, ...] = ()
    root: str = ""
    notes: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
