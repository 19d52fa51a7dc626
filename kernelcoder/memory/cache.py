# SPDX-License-Identifier: Apache-2.0
"""Semantic cache: the best kernel of a task that computes nearly the same is tried first.

A hit is a seed: it is judged like any candidate, without asking a model, and only its own verdict
says what it is worth. An entry is considered where arguments, data types, backend, language and
verifier are the same; how alike the computations must be is learnt for each entry from the verdicts
(:mod:`kernelcoder.memory.caching.thresholds`). Two rules keep the share of wrong hits low:

- an entry is served only above its own threshold, at which the expected chance of a wrong kernel is
  within ``WRONG_PERCENT``;
- whatever the thresholds say, none is served while more than that share of all hits was wrong.

What is not served is tried all the same with a chance of ``EXPLORE_PERCENT``: without trials a
threshold could never come down. The exact layer (equal requests are asked once) is no part of it:
the store of recordings always works, for every memory.

Source: reference specification of methods, M11. It is a leak in a comparison of methods and must
then be off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernelcoder.embedding import embed, similarity
from kernelcoder.history import random_key, rng_of
from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query, Seed
from kernelcoder.memory.caching import keys
from kernelcoder.memory.caching.thresholds import chance, threshold
from kernelcoder.records import Attempt

HIT, HELD, TRY = "hit", "held", "try"  # served; above the threshold, held back; below it
CAPACITY, TRIALS = 500, 64  # entries, and trials kept for each
WORTH_TRYING = 0.25  # an entry with a smaller chance of being right is not explored
_STATS = ("lookups", "hits", "wrong", "explored", "explored_right", "rejected", "invalidated")


@dataclass(frozen=True, slots=True)
class Options:
    """``wrong_percent`` of hits may be wrong; ``explore_percent`` of what is not served is tried;
    ``stop``: a verified seed ends the search."""

    wrong_percent: int
    explore_percent: int
    stop: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest entry that fits a task: its name, how near, and what would be done with it."""

    entry: str
    near: float
    kind: str


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """Nothing is shown: a cached kernel is tried, not described."""
    return ()


def seeds(snapshot: Any, query: Query, options: Options) -> tuple[Seed, ...]:
    """The nearest kernel that fits, if it is near enough or its turn to be explored."""
    found = look_up(snapshot, query, options)
    if found is None:
        return ()
    if found.kind != HIT:
        draw = rng_of(random_key(query.key, "explore", found.entry)).random()
        if draw >= options.explore_percent / 100:
            return ()
    entry = snapshot["entries"][found.entry]
    why = f"{found.kind}: {found.near:.3f} like {entry['task']}"
    item = f"cache:{found.entry}:{found.kind}"
    return (Seed(entry["source"], "seed", item, (entry["provenance"],), why),)


def enough(snapshot: object, query: Query, options: Options) -> bool:
    """With ``stop`` a verified seed leaves nothing to search for."""
    return options.stop and any(
        one.proposal.role == "seed" and one.verdict.verified for one in query.seen
    )


def waits(options: Options) -> bool:
    """Whether a seed's verdict may end the search."""
    return options.stop


def look_up(snapshot: Any, query: Query, options: Options) -> Found | None:
    """The nearest entry above its threshold; failing that, the nearest one worth a try. The older
    one of equals; None if there is none."""
    entries = {} if snapshot is None else snapshot["entries"]
    signature, text = keys.signature(query.task), keys.key(query.task)
    fitting = [
        (_near(text, entry["key"]), name)
        for name, entry in entries.items()
        if _fits(entry, query, signature)
    ]
    fitting.sort(key=lambda one: -one[0])
    for near, name in fitting:
        if near >= threshold(entries[name]["trials"], options.wrong_percent / 100):
            return Found(name, near, HELD if braked(snapshot, options) else HIT)
    for near, name in fitting:
        if chance(entries[name]["trials"], near) >= WORTH_TRYING:
            return Found(name, near, TRY)
    return None


def braked(snapshot: Any, options: Options) -> bool:
    """Whether more than the allowed share of hits was wrong, those held back and tried included."""
    stats = snapshot["stats"]
    return bool(stats["wrong"] * 100 > options.wrong_percent * stats["hits"])


def observe(snapshot: Any, finished: Finished, io: IO, options: Options) -> object:
    """Learn from what the tried seeds turned out to be, then keep the task's own best kernel."""
    old = snapshot or {"entries": {}, "stats": dict.fromkeys(_STATS, 0)}
    stats = {**old["stats"], "lookups": old["stats"]["lookups"] + 1}
    entries = {name: entry for name, entry in old["entries"].items() if _valid(entry, finished)}
    stats["invalidated"] += len(old["entries"]) - len(entries)
    signature = keys.signature(finished.task)
    stats["rejected"] += sum(entry["signature"] != signature for entry in entries.values())
    text = keys.key(finished.task)
    for attempt in finished.attempts:
        name, kind = _tried(attempt, finished)
        if name not in entries or attempt.verdict.status == "infra_error":
            continue
        right, entry = attempt.verdict.verified, entries[name]
        trials = [*entry["trials"], [_near(text, entry["key"]), right]][-TRIALS:]
        entries[name] = {**entry, "trials": trials}
        if kind in (HIT, HELD):
            stats["hits"] += 1
            stats["wrong"] += not right
        if kind in (HELD, TRY):
            stats["explored"] += 1
            stats["explored_right"] += right
    for name, entry in _own(finished, signature).items():
        entries.setdefault(name, entry)  # one that is known keeps its trials
    return {"entries": dict(list(entries.items())[-CAPACITY:]), "stats": stats}


def _near(text: str, other: str) -> float:
    """How alike two keys are; 1 for equal ones."""
    return 1.0 if text == other else round(similarity(embed(text), embed(other)), 6)


def _fits(entry: Mapping[str, Any], query: Query, signature: str) -> bool:
    """The validator: nothing else is ever tried."""
    same = entry["backend"] == query.backend and entry["language"] == query.language
    return same and bool(entry["signature"] == signature)


def _valid(entry: Mapping[str, Any], finished: Finished) -> bool:
    """Whether an entry still means what it meant: same backend, language and verifier."""
    names = ("backend", "language", "verifier")
    now = (finished.backend, finished.language, finished.verify_version)
    return tuple(entry[name] for name in names) == now


def _tried(attempt: Attempt, finished: Finished) -> tuple[str, str]:
    """The entry an attempt was a seed of, and how it was served; empty if it was none."""
    for item in finished.context.get(attempt.ordinal, ()):
        kind, _, rest = item.partition(":")
        if kind == "cache" and attempt.proposal.role == "seed":
            name, _, served = rest.partition(":")
            return name, served
    return "", ""


def _own(finished: Finished, signature: str) -> dict[str, dict[str, Any]]:
    """The entry of the task's chosen kernel, if there is one; the verifier's choice, no other."""
    by_ordinal = {attempt.ordinal: attempt for attempt in finished.attempts}
    best = None if finished.chosen is None else by_ordinal.get(finished.chosen)
    if best is None or best.candidate is None or not best.verdict.verified:
        return {}
    text = keys.key(finished.task)
    entry = {
        "task": finished.task.id,
        "key": text,
        "signature": signature,
        "backend": finished.backend,
        "language": finished.language,
        "verifier": finished.verify_version,
        "source": best.candidate.source,
        "provenance": finished.provenance(best),
        "trials": [],
    }
    return {keys.name(f"{text}\0{best.candidate.sha}"): entry}
