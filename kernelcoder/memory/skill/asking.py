# SPDX-License-Identifier: Apache-2.0
"""Questions whose answer must be JSON: asked, checked, asked again with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.answers import first_object
from kernelcoder.io import IO
from kernelcoder.records import Message


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` is the first valid answer, None if there was none. ``asked`` and ``invalid`` count
    the calls; ``problems`` say what was wrong with the last."""

    data: Any
    asked: int
    invalid: int
    problems: tuple[str, ...] = ()


def ask(
    io: IO,
    purpose: str,
    messages: Sequence[Message],
    check: Callable[[Any], list[str]],
    data: Mapping[str, Any],
    again: int,
    temperature: float = 0.2,
    max_tokens: int = 1024,
) -> Answer:
    """Ask for one JSON object, at most ``again`` times more while ``check`` finds problems.

    An empty answer means that the model has none: it is not asked again."""
    said = list(messages)
    found: list[str] = []
    for turn in range(again + 1):
        text = io.ask(purpose, said, temperature=temperature, max_tokens=max_tokens, data=data)
        if not text.strip():
            return Answer(None, turn + 1, turn + 1, ("no answer",))
        value = object_in(text)
        found = ["there is no JSON object in it"] if value is None else check(value)
        if not found:
            return Answer(value, turn + 1, turn)
        wrong = "\n".join(f"- {one}" for one in found[:8])
        said += [
            Message("assistant", text[:4000]),
            Message("user", f"That is not valid:\n{wrong}\nAnswer with the corrected JSON object."),
        ]
    return Answer(None, again + 1, again + 1, tuple(found[:8]))


def object_in(text: str) -> Any:
    """The first JSON object in a text, None if there is none."""
    return first_object(text)
