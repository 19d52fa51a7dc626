# SPDX-License-Identifier: Apache-2.0
"""What the bank asks the model after a task: to put what happened into a few general lessons.

Three questions, each with the verifier's verdict and its error text: about one attempt, about a
chain of refinements with the outcomes on the way, and about attempts made side by side. The
label, success or failure, is the verifier's; only the third question, which is about both, lets
the answer say which of the two a lesson is from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory import Finished
from kernelcoder.memory.bank.items import (
    CONTENT_WORDS,
    DESCRIPTION_WORDS,
    TITLE_WORDS,
    Polarity,
)
from kernelcoder.memory.bank.values import shaped
from kernelcoder.memory.words import answers
from kernelcoder.memory.words.evidence import before, told, wrongs
from kernelcoder.records import Attempt

Question = Callable[[Finished, Sequence[Attempt], IO], "list[Lesson] | None"]
PER_ATTEMPT, PER_CONTRAST = 3, 5
TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson as it was answered, not yet filtered."""

    title: str
    description: str
    content: str
    polarity: Polarity


_FORM = (
    'Answer as {{"items": [{{"title": "...", "description": "...", "content": "..."{more}}}]}}, '
    f"at most {{most}} items. A title has at most {TITLE_WORDS} words, a description (one sentence "
    f"on when it applies) at most {DESCRIPTION_WORDS}, a content (what to do or to avoid, and why) "
    f"at most {CONTENT_WORDS}. Each must help with other tasks: no sizes of this task's tensors, "
    "nothing about particular tests, no code beyond a line or two. If nothing general can be "
    "learnt, answer with an empty list."
)
_RIGHT = (
    "This attempt was verified as right{fast}. Which decisions in it made that so, and would carry "
    "over to other tasks?"
)
_WRONG = (
    "This attempt failed. What was the mistake behind the error, how can it be recognized early, "
    "and what is to be done instead?"
)
_CHAIN = (
    "These attempts are one chain: each was made from the one before it, after its verdict was "
    "known. Which changes helped, which did not, and what should have been checked sooner?"
)
_SIDE = (
    "These attempts were made side by side from the same knowledge. Compare them: what have the "
    "right and fast ones in common that the others lack, and which mistakes repeat? The polarity "
    'of an item is "success" if it says what worked and "failure" if it says what did not.'
)


def one(finished: Finished, attempt: Attempt, io: IO) -> list[Lesson] | None:
    """At most 3 lessons from one attempt (with its parent, if it has one); None if the model gave
    no usable answer."""
    good = attempt.verdict.verified
    parent = before(finished, attempt)
    parts = [_task(finished)]
    if parent is not None:
        parts += ["It was made from this one:", told(finished, parent)]
    fast = ", and is the fastest of its task" if attempt.verdict.timing else ""
    parts += [told(finished, attempt), _RIGHT.format(fast=fast) if good else _WRONG]
    other = parent.candidate.source if parent is not None and parent.candidate else ""
    data = _pair(finished, attempt, other, good)
    return _asked(io, "extract", parts, PER_ATTEMPT, data, lambda entry: _polarity(good))


def chain(finished: Finished, attempts: Sequence[Attempt], io: IO) -> list[Lesson] | None:
    """At most 3 lessons from a chain of refinements, oldest first."""
    last = attempts[-1]
    good = last.verdict.verified
    parts = [_task(finished), *(told(finished, attempt) for attempt in attempts), _CHAIN]
    first = attempts[0].candidate if len(attempts) > 1 else None
    data = _pair(finished, last, first.source if first else "", good)
    return _asked(io, "extract", parts, PER_ATTEMPT, data, lambda entry: _polarity(good))


def contrast(finished: Finished, attempts: Sequence[Attempt], io: IO) -> list[Lesson] | None:
    """At most 5 lessons from attempts made side by side."""
    parts = [_task(finished), *(told(finished, attempt) for attempt in attempts), _SIDE]
    kernels = [
        {"source": attempt.candidate.source, "score": shaped(finished, attempt)}
        for attempt in attempts
        if attempt.candidate is not None
    ]
    data = {"kind": "contrast", "kernels": kernels, "most": PER_CONTRAST}
    every = {attempt.verdict.verified for attempt in attempts}

    def label(entry: Any) -> Polarity:
        if every == {False}:  # nothing worked, whatever the answer says
            return "failure"
        said = entry.get("polarity")
        if said not in ("success", "failure"):
            raise ValueError('every item needs a "polarity", "success" or "failure"')
        return "success" if said == "success" else "failure"

    return _asked(io, "contrast", parts, PER_CONTRAST, data, label, ', "polarity": "..."')


def _task(finished: Finished) -> str:
    task = finished.task
    return f"Task: {task.title}. {task.description} Backend: {finished.backend}."


def _polarity(good: bool) -> Polarity:
    return "success" if good else "failure"


def _pair(finished: Finished, attempt: Attempt, other: str, good: bool) -> dict[str, Any]:
    own = attempt.candidate.source if attempt.candidate else ""
    better, worse = (own, other) if good else (other, own)
    return {
        "kind": "lessons",
        "good": good,
        "better": better,
        "worse": worse,
        "error": "" if good else "\n".join([attempt.verdict.reason, *wrongs(attempt.verdict)]),
        "recipe": {**finished.task.recipe, "language": finished.language},
        "most": PER_ATTEMPT,
    }


def _asked(
    io: IO,
    purpose: str,
    parts: Sequence[str],
    most: int,
    data: Mapping[str, Any],
    label: Callable[[Any], Polarity],
    more: str = "",
) -> list[Lesson] | None:
    def read(answer: Mapping[str, Any]) -> list[Lesson]:
        return [
            Lesson(
                answers.sentence(entry, "title", TITLE_WORDS),
                answers.sentence(entry, "description", DESCRIPTION_WORDS),
                answers.sentence(entry, "content", CONTENT_WORDS),
                label(entry),
            )
            for entry in answers.listed(answer, "items")[:most]
        ]

    fields = {
        "title": answers.short(40),
        "description": answers.short(100),
        "content": answers.short(200),
    }
    if more:
        fields["polarity"] = {"enum": ["success", "failure"]}
    data = {**data, "schema": answers.form("items", min(most, 3), fields)}
    *about, wanted = parts
    instruction = f"{wanted}\n\n{_FORM.format(most=most, more=more)}"
    return answers.ask(
        io, purpose, "\n\n".join(about), instruction, read, temperature=TEMPERATURE, data=data
    )
