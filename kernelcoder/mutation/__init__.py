# SPDX-License-Identifier: Apache-2.0
"""Mutations of a right kernel: how strong is the test of an operator?

A mutant is a right kernel with one small mistake of a kind that people and models make: a bound, a
stride, an accumulator's type, a constant, a lost term. A verifier that lets one pass, though it
computes something else, has a hole. Making mutants needs neither torch nor a compiler;
``kernelcoder.mutation.scoring`` runs them through a verifier.

A language is one entry of ``LANGUAGES``: the name of a module with ``edits(source)``.
"""

from __future__ import annotations

import difflib
import importlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kernelcoder.errors import Error
from kernelcoder.records import sha256

# The classes of mistakes, in the order in which they take turns.
CLASSES: tuple[str, ...] = (
    "boundary",
    "stride",
    "accumulator",
    "constant",
    "missing-term",
    "axis",
    "off-by-one",
    "min-max",
    "arithmetic",
    "logic",
    "special-value",
    "tail",
    "cast",
    "barrier",
    "early-exit",
)
# Language of a candidate -> the module that knows its mistakes.
LANGUAGES: dict[str, str] = {
    "cpp": "kernelcoder.mutation.cpp",
    "python": "kernelcoder.mutation.python",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters ``start`` to ``end`` of a source by ``text``. ``kind`` is one of
    ``CLASSES``, ``rule`` says in a few words what the mistake is."""

    kind: str
    rule: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one mistake. ``id`` depends on the rule and the changed lines alone, so it
    outlives changes elsewhere in the file; ``line`` counts from one; ``diff`` holds the changed
    lines, old ones marked ``-``, new ones ``+``."""

    id: str
    kind: str
    rule: str
    line: int
    diff: str
    source: str


def mutants(source: str, language: str = "cpp", seed: int = 0, limit: int = 0) -> list[Mutant]:
    """Mutants of ``source``, the classes of mistakes taking turns; the same for the same
    arguments. ``limit`` 0 is all. An unknown language is an ``Error``."""
    if language not in LANGUAGES:
        raise Error(
            f"no mutations are known for the language {language!r}",
            fix=f"known: {', '.join(sorted(LANGUAGES))}",
        )
    made = list(_distinct(source, importlib.import_module(LANGUAGES[language]).edits(source)))
    ordered = _spread(made, seed)
    return ordered[:limit] if limit > 0 else ordered


def _distinct(source: str, edits: Iterable[Edit]) -> Iterator[Mutant]:
    """One mutant per different text, in order of place; the first rule that makes a text keeps
    it."""
    seen = {source}
    names: Counter[str] = Counter()
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        text = source[: edit.start] + edit.text + source[edit.end :]
        if text in seen:
            continue
        seen.add(text)
        diff = _diff(source, text)
        name = f"{edit.kind}-{sha256(edit.rule + chr(0) + diff)[:8]}"
        names[name] += 1
        if names[name] > 1:
            name += f"-{names[name]}"
        line = source.count("\n", 0, edit.start) + 1
        yield Mutant(name, edit.kind, edit.rule, line, diff, text)


def _diff(old: str, new: str) -> str:
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))
    return "\n".join(line[0] + " " + line[1:].strip() for line in lines[2:] if line[0] in "+-")


def _spread(made: list[Mutant], seed: int) -> list[Mutant]:
    """Classes take turns, and within a class its rules."""
    rng = random.Random(seed)
    by_kind: list[list[Mutant]] = []
    for kind in CLASSES:
        rules: dict[str, list[Mutant]] = {}
        for mutant in made:
            if mutant.kind == kind:
                rules.setdefault(mutant.rule, []).append(mutant)
        groups = list(rules.values())
        for group in groups:
            rng.shuffle(group)
        rng.shuffle(groups)
        by_kind.append(list(_turns(groups)))
    return list(_turns(by_kind))


def _turns(groups: list[list[Mutant]]) -> Iterator[Mutant]:
    for turn in range(max((len(group) for group in groups), default=0)):
        for group in groups:
            if turn < len(group):
                yield group[turn]
