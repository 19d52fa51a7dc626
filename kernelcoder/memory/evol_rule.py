# SPDX-License-Identifier: Apache-2.0
"""EvolRule: rules found in pairs of better and worse kernels, kept if other pairs bear them out.

Source: AutoRule and EvolRule as the reference specification of methods, M9, corrects them. After a
batch of tasks: pairs of kernels of which one is better beyond doubt; at most three rules a task
from them; like rules joined, at most 25 a backend; each tested on the pairs of tasks it was not
made from, where a pair counts only if exactly one side obeys; kept if enough pairs, a large enough
share of them and the 80 % lower limit of that share speak for it. A rule with too few pairs is on
probation: shown to every fourth prompt. Tests age, and are repeated every four batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kernelcoder.history import random_key, rng_of
from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query
from kernelcoder.memory.rules import aligning, pairs, wording
from kernelcoder.memory.rules.book import Book, Rule, bounded, load, rank

learns = True

PROBATION = 0.25  # chance that a prompt shows a rule that is on probation


@dataclass(frozen=True, slots=True)
class Options:
    """``batch`` tasks are learnt from at a time (0: all that teach, at once, before the first that
    is held out). A rule needs ``min_pairs`` informative pairs and ``keep_percent`` of them;
    ``judged`` bounds the judge's calls per batch; ``static_checks`` spares it where code can be
    looked for. ``shown`` rules at most in a prompt."""

    batch: int
    min_pairs: int
    keep_percent: int
    judged: int
    static_checks: bool
    shown: int


def refuses(cell: Any) -> str:
    """Why a cell makes no sense, "" if it does."""
    if cell.values["MEMORY_EVOL_RULE_BATCH"] == 0 and not cell.values["STREAM_SPLIT"]:
        return "rules learnt all at once, before the first held-out task, need STREAM_SPLIT"
    return ""


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """Rules for the backend: kept ones and the lot of those on probation; rules of the task's
    family first, then by lower limit. None that the task itself suggested."""
    book = load(snapshot)
    able = [rule for rule in book.live if _may_show(rule, query)]
    able.sort(key=lambda rule: (query.task.category not in rule.families, rank(rule)))
    return tuple(
        ContextItem(rule.id, _text(rule), rule.provenance) for rule in able[: options.shown]
    )


def _may_show(rule: Rule, query: Query) -> bool:
    own = any(place.rpartition("#")[0].endswith(f"/{query.task.id}") for place in rule.provenance)
    if rule.backend != query.backend or own or query.task.id in rule.tasks:
        return False
    if rule.standing == "kept":
        return True
    draw = rng_of(random_key(query.key, "probation", rule.id)).random()
    return rule.standing == "probation" and draw < PROBATION


def _text(rule: Rule) -> str:
    if rule.standing == "probation":
        return f"Rule, not confirmed yet: {rule.text}"
    counts = f"{rule.obeyed:.0f} of {rule.pairs:.0f}"
    return f"Rule: {rule.text} (In {counts} comparisons the better kernel was the one with it.)"


def observe(snapshot: object, finished: Finished, io: IO, options: Options) -> object:
    """Gather the task's pairs; learn when the batch is full, or the last task that teaches is
    done."""
    book = pairs.gathered(load(snapshot), finished)
    full = options.batch and len(book.waiting) >= options.batch
    if full or finished.last:
        book = _learnt(book, finished, io, options)
    return bounded(book).save()


def _learnt(book: Book, finished: Finished, io: IO, options: Options) -> Book:
    test = aligning.Test(
        pairs=options.min_pairs,
        share=options.keep_percent / 100,
        calls=options.judged,
        checks=options.static_checks,
    )
    book = wording.merged(wording.extracted(book, finished, io), io)
    book = aligning.aligned(book, test, finished.language, io)
    return replace(book, batches=book.batches + 1, waiting=())
