# SPDX-License-Identifier: Apache-2.0
"""Answers in JSON: read strictly, asked for once more if they cannot be used, never an exception.

A model's text may be anything. It is parsed and checked, never searched for words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kernelcoder.answers import first_object, one_line
from kernelcoder.io import IO
from kernelcoder.prompts import fill
from kernelcoder.records import Message

T = TypeVar("T")

TOKENS = 1024
_QUOTED = 2000  # characters of a useless answer that go back with the second question


class Unusable(ValueError):
    """What is wrong with an answer, as half a sentence for the model that gave it."""


def asked(
    io: IO,
    purpose: str,
    messages: Sequence[Message],
    read: Callable[[Mapping[str, Any]], T],
    *,
    data: Mapping[str, Any],
    shared: str = "",
    max_tokens: int = TOKENS,
) -> tuple[T | None, str]:
    """What ``read`` makes of the object that the model answers with, and "" or why there is none.
    ``max_tokens`` bounds an answer, which never has more than ``TOKENS``.

    ``read`` raises :class:`Unusable`. One answer that cannot be used is asked for again, with the
    reason; of a second one ``None`` comes back. Every question is recorded and charged by ``io``.
    """
    most = min(TOKENS, max_tokens)
    text = io.ask(purpose, messages, data=data, shared=shared, max_tokens=most)
    try:
        return read(_object(text)), ""
    except Unusable as fault:
        why = str(fault)
    again = (
        *messages,
        Message("assistant", text[:_QUOTED] or "(nothing)"),
        Message("user", fill("steps/again", why=why)),
    )
    key = shared and f"{shared} again"
    text = io.ask(purpose, again, data=data, shared=key, max_tokens=most)
    try:
        return read(_object(text)), ""
    except Unusable as fault:
        return None, str(fault)


def _object(text: str) -> Mapping[str, Any]:
    found = first_object(text)
    if found is None:
        raise Unusable("there is no JSON object in it")
    return found


def words(found: Mapping[str, Any], name: str, most: int) -> str:
    """A field that is text, in one line of at most ``most`` characters. Raises
    :class:`Unusable`."""
    value = found.get(name)
    line = one_line(value) if isinstance(value, str) else ""
    if not line:
        raise Unusable(f'"{name}" is missing or no text')
    return line if len(line) <= most else line[: most - 3] + "..."


def number(found: Mapping[str, Any], name: str, least: float, most: float) -> float:
    """A field that is a number, moved into [least, most]. Raises :class:`Unusable`."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unusable(f'"{name}" is missing or no number')
    if isinstance(value, float) and not math.isfinite(value):
        raise Unusable(f'"{name}" is no finite number')
    return float(min(max(value, least), most))


def several(found: Mapping[str, Any], name: str) -> Sequence[Any]:
    """A field that is a list with something in it. Raises :class:`Unusable`."""
    value = found.get(name)
    if not isinstance(value, list) or not value:
        raise Unusable(f'"{name}" is missing or no list with something in it')
    return value
