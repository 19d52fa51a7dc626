# SPDX-License-Identifier: Apache-2.0
"""From pairs to rules: found in one task after the other, then joined with those there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernelcoder.embedding import embed, similarity
from kernelcoder.io import IO
from kernelcoder.memory import Finished
from kernelcoder.memory.rules import questions
from kernelcoder.memory.rules.book import RETEST, Book, Rule, bounded, rule_id
from kernelcoder.memory.words.filters import says_nothing, unite, why_not

ALIKE = 0.85


def extracted(book: Book, finished: Finished, io: IO) -> Book:
    """The book with the rules that the waiting tasks suggest. Words that are known already gain
    provenance and keep their tests; a dropped rule comes back only when it may be tested again."""
    for task in book.waiting:
        pairs = [pair for pair in book.pairs if pair.task == task]
        if not pairs:
            continue
        found = questions.extract(book, pairs, finished.language, io)
        if found is None:
            book = replace(book, unread=book.unread + 1)
            continue
        used = pairs[: questions.SHOWN_PAIRS]
        provenance = tuple(
            dict.fromkeys(
                book.kernels[sha].provenance for pair in used for sha in (pair.better, pair.worse)
            )
        )
        for text in found:
            if why_not(text, finished):
                book = replace(book, refused=book.refused + 1)
                continue
            rule = Rule(
                id=rule_id(pairs[0].backend, text),
                text=text,
                backend=pairs[0].backend,
                families=(pairs[0].family,),
                provenance=provenance,
                tasks=(task,),
                created=book.batches,
            )
            book = _with(book, rule)
    return book


def _with(book: Book, new: Rule) -> Book:
    old = next((rule for rule in book.rules if rule.id == new.id), None)
    if old is None:
        return replace(book, rules=(*book.rules, new))
    known = replace(
        old,
        provenance=unite(old.provenance, new.provenance),
        families=unite(old.families, new.families),
    )
    if old.standing == "dropped" and book.batches - old.tested >= RETEST:
        known = replace(known, standing="new")
    return replace(book, rules=tuple(known if rule is old else rule for rule in book.rules))


def merged(book: Book, io: IO) -> Book:
    """The book with rules that say the same joined, within its bounds. A call is made for every
    group of like rules with a new one in it."""
    for group in clusters([rule for rule in book.live]):
        if len(group) == 1 or all(rule.standing != "new" for rule in group):
            continue
        found = questions.merge([rule.text for rule in group], io)
        if found is None:
            book = replace(book, unread=book.unread + 1)
            continue
        for text, numbers in found:
            if len(numbers) > 1 and not says_nothing(text):
                book = _joined(book, text, [group[number] for number in numbers])
    return bounded(book)


def clusters(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules of one backend in groups: each is like (cosine of at least 0.85) another of its
    group."""
    groups: list[list[Rule]] = []
    for rule in rules:
        near = [
            group
            for group in groups
            if any(
                other.backend == rule.backend
                and similarity(embed(other.text), embed(rule.text)) >= ALIKE
                for other in group
            )
        ]
        groups = [group for group in groups if group not in near]
        groups.append([*(one for group in near for one in group), rule])
    return groups


def _joined(book: Book, text: str, rules: Sequence[Rule]) -> Book:
    """Several rules as one. It keeps the tests of the one whose words it has; new words start
    without tests, and no pair of any task behind them may test them."""
    name = rule_id(rules[0].backend, text)
    kept = next((rule for rule in rules if rule.id == name), None)
    base = kept or replace(
        rules[0],
        id=name,
        text=text,
        tested=-1,
        informative=0,
        obeyed=0.0,
        pairs=0.0,
        standing="new",
    )
    behind = [task for rule in rules for task in rule.tasks]
    one = replace(
        base,
        families=unite((), (family for rule in rules for family in rule.families)),
        provenance=unite((), (place for rule in rules for place in rule.provenance)),
        tasks=kept.tasks if kept else unite((), behind),
    )
    gone = {rule.id for rule in rules} | {name}
    return replace(book, rules=(*(rule for rule in book.rules if rule.id not in gone), one))
