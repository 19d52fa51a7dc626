# SPDX-License-Identifier: Apache-2.0
"""Testing rules on pairs they were not made from: who obeys what, and what follows for each rule.

A pair is informative for a rule if exactly one of its kernels obeys it; the rule is right about it
if that is the better one. Pairs both or neither of whose kernels obey it say nothing, nor do those
to which it does not apply. A pair's weight falls with age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernelcoder.io import IO
from kernelcoder.memory.rules import questions, static
from kernelcoder.memory.rules.book import DECAY, RETEST, Book, Pair, Rule

REPEATED = 0.1  # share of the judge's vectors asked for twice
LOWEST = 0.5  # what the lower limit of a kept rule must exceed


@dataclass(frozen=True, slots=True)
class Test:
    """How rules are tested: the least informative ``pairs`` for a decision, the least ``share`` of
    them a kept rule is right about, at most ``calls`` of the judge, and whether rules that can be
    checked without it are (``checks``)."""

    pairs: int
    share: float
    calls: int
    checks: bool


def due(book: Book) -> list[Rule]:
    """Rules to be tested now: new ones, those that lack pairs, and those not tested for a while."""
    return [
        rule
        for rule in book.live
        if rule.standing in ("new", "probation") or book.batches - rule.tested >= RETEST
    ]


def aligned(book: Book, test: Test, language: str, io: IO) -> Book:
    """The book with the due rules tested: answers gathered, counts and standings renewed."""
    rules = due(book)
    book = _answered(book, rules, test, language, io)
    renewed = {rule.id: judged(book, rule, test) for rule in rules}
    return replace(book, rules=tuple(renewed.get(rule.id, rule) for rule in book.rules))


def judged(book: Book, rule: Rule, test: Test) -> Rule:
    """A rule with its counts and its standing, from the answers that the book has."""
    own = book.answers.get(rule.id, {})
    count, obeyed, total = 0, 0.0, 0.0
    for pair in testing(book, rule):
        sides = (own.get(pair.better), own.get(pair.worse))
        weight = DECAY ** ((book.batches - pair.batch) // RETEST)
        if sides in (("yes", "no"), ("no", "yes")):
            count += 1
            total += weight
            obeyed += weight if sides[0] == "yes" else 0.0
    new = replace(rule, informative=count, obeyed=obeyed, pairs=total, tested=book.batches)
    if not total or count < test.pairs:
        return replace(new, standing="probation")
    good = obeyed / total >= test.share and new.lower > LOWEST
    return replace(new, standing="kept" if good else "dropped")


def testing(book: Book, rule: Rule) -> list[Pair]:
    """The pairs that may test a rule: of its backend, of tasks that did not word it."""
    return [
        pair for pair in book.pairs if pair.backend == rule.backend and pair.task not in rule.tasks
    ]


def _answered(book: Book, rules: list[Rule], test: Test, language: str, io: IO) -> Book:
    """The book with an answer for every due rule on the kernels of its pairs, the newest pairs
    first, as far as the calls reach. One call asks about one kernel and all rules that need it."""
    wanted: dict[str, list[Rule]] = {}
    for rule in rules:
        for pair in testing(book, rule):
            for sha in (pair.better, pair.worse):
                if sha not in book.answers.get(rule.id, {}):
                    wanted.setdefault(sha, []).append(rule)
    known = {rule.id: dict(book.answers.get(rule.id, {})) for rule in book.live}
    book = replace(book, answers=known)
    calls = test.calls
    for sha in _newest(book, wanted):
        open_rules = _checked(book, sha, list(dict.fromkeys(wanted[sha])), known, test.checks)
        if not open_rules or calls <= 0:
            continue
        twice = calls > 1 and io.rng(f"repeat {sha}").random() < REPEATED
        calls -= 1 + twice
        book = _asked(book, sha, open_rules, known, twice, language, io)
    return replace(book, answers=known)


def _newest(book: Book, wanted: Mapping[str, object]) -> list[str]:
    order = dict.fromkeys(sha for pair in reversed(book.pairs) for sha in (pair.better, pair.worse))
    return [sha for sha in order if sha in wanted]


def _checked(
    book: Book, sha: str, rules: list[Rule], known: dict[str, dict[str, str]], checks: bool
) -> list[Rule]:
    """The rules that still need the judge; the others get the answer of their static check."""
    left = []
    for rule in rules:
        check = static.compiled(rule.text) if checks else None
        found = check(book.kernels[sha].source) if check else None
        if found is None:
            left.append(rule)
        else:
            known[rule.id][sha] = found
    return left


def _asked(
    book: Book,
    sha: str,
    rules: list[Rule],
    known: dict[str, dict[str, str]],
    twice: bool,
    language: str,
    io: IO,
) -> Book:
    """The judge's vector on one kernel; asked for twice, answers that differ count as none."""
    texts, source = [rule.text for rule in rules], book.kernels[sha].source
    first = questions.judge(source, texts, language, io)
    if first is None:
        return replace(book, unread=book.unread + 1)
    second = questions.judge(source, texts, language, io) if twice else None
    if second is not None:
        same = [one == other for one, other in zip(first, second, strict=True)]
        first = [one if agree else "n/a" for one, agree in zip(first, same, strict=True)]
        book = replace(book, repeated=book.repeated + len(same), agreed=book.agreed + sum(same))
    for rule, said in zip(rules, first, strict=True):
        known[rule.id][sha] = said
    return book
