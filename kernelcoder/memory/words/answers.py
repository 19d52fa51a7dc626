# SPDX-License-Identifier: Apache-2.0
"""Questions whose answer is a JSON object, checked; what is malformed is asked for once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kernelcoder.answers import first_object
from kernelcoder.io import IO
from kernelcoder.records import Message

T = TypeVar("T")
PLACES = 32  # a reply of braces only must not take the judge's time
MAX_TOKENS = 2048  # five items at their longest are some 1200

SYSTEM = (
    "You study attempts at writing compute kernels and the verdicts of a verifier on them. "
    "Answer with one JSON object of the form asked for and nothing else."
)


def ask(
    io: IO,
    purpose: str,
    about: str,
    instruction: str,
    read: Callable[[Mapping[str, Any]], T],
    *,
    temperature: float,
    data: Mapping[str, Any],
) -> T | None:
    """What ``read`` makes of the answer; None if the answer and a second one are both malformed.

    The question has the headings of a prompt for a kernel, so that a model too small to read all of
    it is left the task's beginning and the whole instruction (models/free.py).
    ``read`` raises ``ValueError`` with a sentence that says what is wrong: the second question
    quotes it. ``data`` is the structured copy of the question."""
    question = f"## Task\n\n{about}\n\n## Instruction\n\n{instruction}"
    messages = [Message("system", SYSTEM), Message("user", question)]
    for _ in range(2):
        text = io.ask(purpose, messages, temperature=temperature, max_tokens=MAX_TOKENS, data=data)
        try:
            return read(parse(text))
        except ValueError as problem:
            again = f"That was not of the form asked for: {problem}. Answer with the object alone."
            messages += [Message("assistant", text), Message("user", again)]
    return None


def form(name: str, most: int, fields: Mapping[str, Any], least: int = 0) -> dict[str, Any]:
    """The JSON schema of an object that holds one list of objects, for models whose tokens can be
    masked to it (``data["schema"]``); other models go by the words of the question."""
    entry = {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }
    return listing(name, entry, least, most)


def listing(name: str, entry: Mapping[str, Any], least: int, most: int) -> dict[str, Any]:
    """The same for a list of anything."""
    found = {"type": "array", "items": dict(entry), "minItems": least, "maxItems": most}
    return {
        "type": "object",
        "properties": {name: found},
        "required": [name],
        "additionalProperties": False,
    }


def short(characters: int) -> dict[str, Any]:
    """A text in a schema. A model that is masked is a small one: it stops where it must."""
    return {"type": "string", "minLength": 1, "maxLength": characters}


def parse(text: str) -> Mapping[str, Any]:
    """The first JSON object in a text, which may stand in a fence or between words; it is looked
    for at the first ``PLACES`` braces. Raises ``ValueError`` if there is none."""
    found = first_object(text)
    if found is not None:
        return found
    raise ValueError("there is no JSON object in it")


def listed(answer: Mapping[str, Any], name: str) -> list[Any]:
    """The list under ``name``; ``ValueError`` if it is not one."""
    found = answer.get(name)
    if not isinstance(found, list):
        raise ValueError(f'"{name}" must be a list')
    return found


def sentence(entry: Any, name: str, most: int) -> str:
    """A text of at most ``most`` words under ``name``; ``ValueError`` otherwise. What cannot be
    written as UTF-8 (half a character in an escape) becomes a question mark."""
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'every entry needs a text "{name}"')
    words = len(value.split())
    if words > most:
        raise ValueError(f'a "{name}" has {words} words, at most {most} are wanted')
    return value.strip().encode("utf-8", "replace").decode()
