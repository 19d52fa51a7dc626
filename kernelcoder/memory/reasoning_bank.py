# SPDX-License-Identifier: Apache-2.0
"""ReasoningBank: lessons in words from what the verifier found, shown where a task is alike.

Source: ReasoningBank (arXiv 2509.25140) and reference specification of methods, M8. After a task
the model puts its best right attempt and its most instructive failure (the one that came furthest)
into at most three lessons each. A prompt shows the lessons of the nearest earlier experience: by
cosine of the task's description with role and failure, above a threshold, never of the task itself.
Memory-aware scaling replaces the extraction: ``parallel`` by one contrast over attempts made side
by side, ``sequential`` by one look at a chain of refinements, which it also asks to check again.

The label of a lesson is the verifier's verdict. Its worth is tallied from the outcomes of attempts
that were shown it and of those it was withheld from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernelcoder.embedding import Index
from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query
from kernelcoder.memory.bank import questions, values
from kernelcoder.memory.bank.items import Bank, Experience, Item, item_id, load
from kernelcoder.memory.bank.questions import Lesson
from kernelcoder.memory.words import evidence, filters
from kernelcoder.records import Attempt
from kernelcoder.task import Task

learns = True

PLACES = 64  # of provenance that a lesson keeps, the first and the newest: a bound for snapshots
FIRST = (
    "Before you answer, go through the kernel once more as if someone else had written it: every "
    "index at the ends, every layout of the inputs, every conversion. Then change what is weakest."
)
AGAIN = (
    "It was gone through before. Do not trust that: look again for what was taken for granted, and "
    "for the one change that is still worth the most."
)


@dataclass(frozen=True, slots=True)
class Options:
    """``experiences`` shown at most; ``threshold_percent`` is the least cosine; with
    ``value_percent`` above 0 they are ranked by cosine plus that share of the upper limit of their
    value. ``capacity`` in items per backend. ``parallel`` and ``sequential`` are the kinds of
    memory-aware scaling, over ``rounds`` attempts."""

    experiences: int
    threshold_percent: int
    value_percent: int
    capacity: int
    parallel: bool
    sequential: bool
    rounds: int


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """The lessons of the nearest experiences; with ``sequential``, the request to check again."""
    bank = load(snapshot)
    items = {item.id: item for item in bank.items}
    shown = dict.fromkeys(
        one
        for experience in nearest(bank, query, options)
        for one in experience.items
        if not _of_task(items[one].provenance, query.task)
    )
    found = [ContextItem(one, items[one].text, items[one].provenance) for one in shown]
    return (*found, *_checks(query, options))


def nearest(bank: Bank, query: Query, options: Options) -> list[Experience]:
    """The experiences to show, best first: of the same backend, of other tasks, near enough."""
    by_id = {one.id: one for one in bank.experiences if one.backend == query.backend}
    index = Index({name: one.key for name, one in by_id.items()}, rarity=False)
    wanted = key(query.task, query.role, query.failure)
    hits = index.search(
        wanted,
        len(by_id),
        options.threshold_percent / 100,
        lambda name: by_id[name].task != query.task.id,
    )
    share, items = options.value_percent / 100, {item.id: item for item in bank.items}
    mean, role = values.means(bank.items), values.role_of(query.role)

    def rank(name: str, cosine: float) -> float:
        tops = [values.limits(items[one], role, mean)[1] for one in by_id[name].items]
        return cosine + share * max(tops, default=0.0)

    ranked = sorted(hits, key=lambda hit: -rank(hit.id, hit.similarity)) if share else list(hits)
    return [by_id[hit.id] for hit in ranked[: options.experiences]]


def key(task: Task, role: str, failure: str) -> str:
    """The text an experience is found by."""
    return f"{task.title}. {task.description}\n{task.category} {role} {failure}".rstrip()


def _of_task(provenance: Sequence[str], task: Task) -> bool:
    """Whether any of it was learnt on the task itself."""
    return any(one.rpartition("#")[0].endswith(f"/{task.id}") for one in provenance)


def _checks(query: Query, options: Options) -> tuple[ContextItem, ...]:
    """Sequential scaling: the request to look again, in its first or its later wording."""
    if not options.sequential or query.role not in ("refine", "debug"):
        return ()
    rounds = sum(one.proposal.role in ("refine", "debug") for one in query.seen)
    if rounds >= options.rounds:
        return ()
    return (ContextItem("check-again", AGAIN) if rounds else ContextItem("check-first", FIRST),)


def observe(snapshot: object, finished: Finished, io: IO, options: Options) -> object:
    """Credit the lessons that were shown, then learn new ones from this task."""
    bank = load(snapshot)
    bank = replace(bank, items=values.credited(bank.items, finished))
    for attempts, ask in chosen(finished, options):
        found = ask(finished, attempts, io)
        if found is None:
            bank = replace(bank, unread=bank.unread + 1)
        else:
            bank = _learnt(bank, finished, attempts, found)
    return _bounded(replace(bank, tasks=bank.tasks + 1), options.capacity).save()


def _one(finished: Finished, attempts: Sequence[Attempt], io: IO) -> list[Lesson] | None:
    return questions.one(finished, attempts[-1], io)


def chosen(
    finished: Finished, options: Options
) -> list[tuple[Sequence[Attempt], questions.Question]]:
    """What is asked about: groups of attempts, the one in question last, each with its question."""
    able = evidence.teaching(finished)
    if not able:
        return []
    if options.parallel:
        return [(able[: options.rounds], questions.contrast)]
    past = evidence.history(finished)
    right = [one for one in able if one.verdict.verified]
    wrong = [one for one in able if not one.verdict.verified]
    best = max(right, key=lambda one: (past.score(one), -one.ordinal), default=None)
    deepest = max(wrong, key=lambda one: (past.shaped(one), -one.ordinal), default=None)
    if options.sequential:
        end = best or deepest
        return [(_chain(finished, end, options.rounds), questions.chain)] if end else []
    return [([one], _one) for one in (best, deepest) if one is not None]


def _chain(finished: Finished, end: Attempt, most: int) -> list[Attempt]:
    """The attempts that led to one, oldest first, at most ``most`` and it."""
    found = [end]
    while len(found) <= most and (parent := evidence.before(finished, found[0])) is not None:
        found.insert(0, parent)
    return found


def _learnt(
    bank: Bank, finished: Finished, attempts: Sequence[Attempt], lessons: Sequence[Lesson]
) -> Bank:
    """The bank with one more experience; lessons it has already gain its provenance."""
    items, ids, refused = {item.id: item for item in bank.items}, [], 0
    provenance = tuple(finished.provenance(one) for one in attempts)
    for lesson in lessons:
        text = f"{lesson.title}. {lesson.description} {lesson.content}"
        if filters.says_nothing(lesson.content) or filters.why_not(text, finished):
            refused += 1
            continue
        item = _placed(items, finished, provenance, lesson, bank.tasks)
        ids.append(item.id)
    last = attempts[-1]
    found = Experience(
        id="+".join(provenance),
        task=finished.task.id,
        backend=finished.backend,
        key=key(
            finished.task,
            last.proposal.role,
            evidence.failure(evidence.before(finished, last)) or evidence.failure(last),
        ),
        items=tuple(dict.fromkeys(ids)),
    )
    kept = [one for one in bank.experiences if one.id != found.id]
    return replace(
        bank,
        items=tuple(items.values()),
        experiences=(*kept, found) if ids else bank.experiences,
        refused=bank.refused + refused,
    )


def _placed(
    items: dict[str, Item],
    finished: Finished,
    provenance: tuple[str, ...],
    lesson: Lesson,
    created: int,
) -> Item:
    """The item of a lesson: an old one that says the same, or a new one; contradictions marked on
    both sides."""
    scope = {"backend": finished.backend, "family": finished.task.category}
    new = Item(
        id=item_id(lesson.title, lesson.content, lesson.polarity, provenance[-1]),
        title=lesson.title,
        description=lesson.description,
        content=lesson.content,
        polarity=lesson.polarity,
        scope=scope,
        provenance=provenance,
        created=created,
    )
    others = [old for old in items.values() if old.scope["backend"] == finished.backend]
    for old in others:
        if old.polarity == new.polarity and filters.same(old.lesson, new.lesson):
            both = filters.unite(old.provenance, provenance)
            items[old.id] = replace(old, provenance=both[:1] + both[1:][-PLACES:])
            return items[old.id]
    for old in others:
        if old.polarity != new.polarity and filters.opposed(old.lesson, new.lesson):
            items[old.id] = replace(old, contradicts=filters.unite(old.contradicts, [new.id]))
            new = replace(new, contradicts=filters.unite(new.contradicts, [old.id]))
    items[new.id] = new
    return new


def _bounded(bank: Bank, capacity: int) -> Bank:
    """The bank within its capacity; experiences lose what was evicted, and go when empty, or when
    there are twice as many newer ones as there may be lessons. What none leads to goes."""
    some = values.kept(bank.items, capacity)
    left = {item.id for item in some}
    items = tuple(
        replace(item, contradicts=tuple(one for one in item.contradicts if one in left))
        for item in some
    )
    experiences = [
        replace(one, items=tuple(name for name in one.items if name in left))
        for one in bank.experiences
    ]
    found = [one for one in experiences if one.items][-2 * capacity :]
    reached = {name for one in found for name in one.items}
    return replace(
        bank,
        items=tuple(item for item in items if item.id in reached),
        experiences=tuple(found),
    )
