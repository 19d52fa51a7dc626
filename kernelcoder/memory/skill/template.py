# SPDX-License-Identifier: Apache-2.0
"""Slots in a text: ``${name}`` is replaced by a value, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernelcoder.memory.skill import validation
from kernelcoder.memory.skill.predicates import Facts
from kernelcoder.memory.skill.schema import Skill

_SLOT = re.compile(r"\$\{([A-Za-z_]\w*)\}")


class Unfit(ValueError):
    """The skill cannot be instantiated here; the sentence says why."""


def slots(text: str) -> list[str]:
    """Names of the slots of a text, each once, in order."""
    return list(dict.fromkeys(_SLOT.findall(text)))


def segments(text: str) -> list[str]:
    """The text between slots: what every instantiation has."""
    return [part for part in re.split(_SLOT.pattern.replace("(", "(?:", 1), text) if part]


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with every slot filled. Raises :class:`Unfit` for a slot without a value."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise Unfit(f"slot {name} has no value")
        found = values[name]
        return str(found).lower() if isinstance(found, bool) else str(found)

    return _SLOT.sub(value, text)


def values_of(skill: Skill, params: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Defaults, ``params`` over them, and what is bound to facts. Raises :class:`Unfit`."""
    values = {**skill.defaults, **params}
    if found := validation.problems(values, skill.parameters, "parameters"):
        raise Unfit("; ".join(found))
    for slot, fact in skill.bind.items():
        if fact not in facts:
            raise Unfit(f"slot {slot} is bound to {fact}, which this task has not")
        values[slot] = facts[fact]
    return values


def instantiate(
    skill: Skill, params: Mapping[str, Any], facts: Facts, source: str | None = None
) -> str:
    """The kernel: the filled template, or ``source`` with the filled edits.

    Raises :class:`Unfit` for values outside their ranges, and for an edit whose place is not there
    exactly once."""
    values = values_of(skill, params, facts)
    if skill.kind == "kernel":
        return fill(skill.template, values)
    if source is None:
        raise Unfit("an edit needs a kernel")
    for edit in skill.edits:
        find = fill(edit.find, values)
        if (times := source.count(find)) != 1:
            raise Unfit(f"the place of the edit stands there {times} times")
        source = source.replace(find, fill(edit.put, values))
    return source
