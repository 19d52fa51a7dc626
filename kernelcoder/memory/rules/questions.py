# SPDX-License-Identifier: Apache-2.0
"""What the rule memory asks the model: to find rules, to join those that say the same, and to judge
which rules a kernel obeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory.rules.book import ANSWERS, RULE_WORDS, Book, Pair
from kernelcoder.memory.words import answers
from kernelcoder.memory.words.evidence import fenced

PER_TASK = 3
SHOWN_PAIRS = 2
_WHY = {
    "right": "The first kernel is verified as right, the second was found to be wrong.",
    "faster": "Both kernels are right; the first is clearly faster.",
}
_EXTRACT = (
    "Which decisions make the first kernels better than the second ones? State them as rules: each "
    f"one sentence of at most {RULE_WORDS} words that another reader can check by looking at a "
    "kernel alone, that tells what to do or to avoid, and that can hold for other operators. No "
    'sizes of tensors, nothing about tests. Answer as {{"rules": [{{"text": "..."}}]}}, at most '
    "{most} rules; an empty list if there is nothing general."
)
_MERGE = (
    "Say each distinct rule once: join those that ask for the same, keep apart those that differ "
    'in what they ask for. Answer as {"rules": [{"text": "...", "from": [0, 1]}]}, where '
    '"from" lists the numbers that a rule stands for and every number appears once. '
    f"A rule has at most {RULE_WORDS} words."
)
_JUDGE = (
    'For each rule, in order: does this kernel obey it? "yes" if it does, "no" if it breaks it, '
    '"n/a" if the rule says nothing on such a kernel or it cannot be told. What the comments in '
    'the kernel say of it does not count. Answer as {{"answers": ["yes", ...]}} with '
    "exactly {count} answers."
)


def extract(book: Book, pairs: Sequence[Pair], language: str, io: IO) -> list[str] | None:
    """At most 3 rules from a task's pairs; None if there is no usable answer."""
    chosen = pairs[:SHOWN_PAIRS]
    parts = []
    for pair in chosen:
        kernels = (book.kernels[pair.better], book.kernels[pair.worse])
        parts += [_WHY[pair.why], *(fenced(kernel.source, language) for kernel in kernels)]
    data = {
        "kind": "rules",
        "pairs": [
            [book.kernels[pair.better].source, book.kernels[pair.worse].source] for pair in chosen
        ],
        "most": PER_TASK,
        "schema": answers.form("rules", PER_TASK, {"text": answers.short(160)}),
    }

    def read(answer: Mapping[str, Any]) -> list[str]:
        entries = answers.listed(answer, "rules")[:PER_TASK]
        return [_line(answers.sentence(entry, "text", RULE_WORDS)) for entry in entries]

    about, wanted = "\n\n".join(parts), _EXTRACT.format(most=PER_TASK)
    return answers.ask(io, "extract", about, wanted, read, temperature=0.7, data=data)


def merge(texts: Sequence[str], io: IO) -> list[tuple[str, tuple[int, ...]]] | None:
    """The distinct rules among ``texts``, each with the numbers it stands for; what is not
    mentioned stands for itself. None if there is no usable answer."""

    def read(answer: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
        found: list[tuple[str, tuple[int, ...]]] = []
        left = list(range(len(texts)))
        for entry in answers.listed(answer, "rules"):
            text = _line(answers.sentence(entry, "text", RULE_WORDS))
            numbers = entry.get("from")
            if not isinstance(numbers, list) or not numbers:
                raise ValueError('every rule needs its numbers in "from"')
            for number in numbers:
                if isinstance(number, bool) or number not in left:
                    raise ValueError(f'{number!r} in "from" is no number of a rule, or is twice')
                left.remove(number)
            found.append((text, tuple(numbers)))
        return found + [(texts[number], (number,)) for number in left]

    about = f"These rules were found at different times:\n\n{_numbered(texts)}"
    numbers = {"type": "array", "items": {"enum": list(range(len(texts)))}, "minItems": 1}
    fields = {"text": answers.short(160), "from": numbers}
    data = {
        "kind": "merge",
        "rules": list(texts),
        "schema": answers.form("rules", len(texts), fields),
    }
    return answers.ask(io, "merge", about, _MERGE, read, temperature=0.0, data=data)


def judge(source: str, texts: Sequence[str], language: str, io: IO) -> list[str] | None:
    """For each rule yes, no or n/a; None if there is no usable answer."""

    def read(answer: Mapping[str, Any]) -> list[str]:
        said = answers.listed(answer, "answers")
        if len(said) != len(texts):
            raise ValueError(f"there are {len(said)} answers to {len(texts)} rules")
        words = [one.strip().lower() if isinstance(one, str) else "" for one in said]
        if any(word not in ANSWERS for word in words):
            raise ValueError('an answer is "yes", "no" or "n/a" and nothing else')
        return words

    about = f"{fenced(source, language)}\n\nRules:\n\n{_numbered(texts)}"
    wanted = _JUDGE.format(count=len(texts))
    data = {
        "kind": "judge",
        "rules": list(texts),
        "source": source,
        "schema": answers.listing("answers", {"enum": list(ANSWERS)}, len(texts), len(texts)),
    }
    return answers.ask(io, "judge", about, wanted, read, temperature=0.0, data=data)


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts))


def _line(text: str) -> str:
    return " ".join(text.split())
