# SPDX-License-Identifier: Apache-2.0
"""Checks a cell's folder as a stranger would: nothing is believed that cannot be derived again.

The hash chain, the order of events, every blob's name, that each candidate's name is the hash of
its source and its source is what the reply holds, that requests have the names they are recorded
under, that duplicates carry the verdict of their original, that totals of timings follow from
their cases and choices from their finalists, that what was tried, given and learnt on the way is as
recorded, and that the rows of a report are what the raw events give when counted once more.

The chain has no key: whoever rewrites the whole folder consistently, recordings included, is not
detected. For that keep the last hash (``ledger_head`` of the rows) where the author cannot reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import derivations, ledger, recounting
from kernelcoder.derivations import where
from kernelcoder.errors import Error
from kernelcoder.ledger import Event
from kernelcoder.records import Candidate, Timing, from_json
from kernelcoder.recounting import numbers

LEVELS = {
    "G0": "every number can be derived again from the ledger",
    "G1": "replaying the recorded replies and timings gives this ledger",
    "G2": "running it again gives this ledger, times aside",
}


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. ``problems`` is empty for a sound cell; ``numbers`` are derived again from
    the events; ``torn`` are bytes of a last line being written or cut off."""

    cell: str
    problems: tuple[str, ...]
    guarantee: str
    events: int
    blobs: int
    finished: bool
    torn: int
    numbers: Mapping[str, Any]


def audit(cell_dir: Path) -> Audit:
    """Check one cell's folder; problems are collected, not raised."""
    try:
        events = ledger.read(cell_dir / ledger.NAME)
        machine = ledger.check(events, f"{cell_dir.name}/{ledger.NAME}")
    except Error as problem:
        what = f"{problem.where}: {problem.what}"
        return Audit(cell_dir.name, (what,), "none", 0, 0, False, 0, {})
    named = blobs_of(events)
    meta, problems = _opened(cell_dir, events)
    problems += _blobs(cell_dir, named)
    if not problems:
        problems += [*_candidates(cell_dir, events), *_prompts(cell_dir, events)]
    if not problems:
        problems += derivations.sources(cell_dir, events)
        problems += derivations.requests(cell_dir, events)
        problems += derivations.given(cell_dir, events)
    problems += [*_duplicates(events), *_selections(events), *derivations.timings(events)]
    problems += [*derivations.choices(events, meta.get("values", {})), *derivations.routes(events)]
    problems += [*derivations.tried(events), *derivations.lessons(events)]
    found = numbers(events)
    if not problems:
        problems += recounting.reported(cell_dir, meta, events)
    opened = events[0].data if events else {}
    guarantee = "none" if problems else str(opened.get("guarantee", "G0"))
    return Audit(
        cell_dir.name,
        tuple(problems),
        guarantee,
        len(events),
        len(named),
        machine.state == "closed",
        events.torn,
        found,
    )


def blobs_of(events: Sequence[Event]) -> list[str]:
    """Every blob that the events speak of, each once, in order of name."""
    return sorted(set(_named(events)))


def _named(events: Sequence[Event]) -> Iterator[str]:
    """Every blob an event speaks of."""
    fields = {
        "ask": ("prompt",),
        "call": ("reply", "sent", "prompt"),
        "candidate": ("source", "cut", "intact"),
        "step": ("prompt", "reply", "sent", "source"),
        "learn": ("snapshot",),
    }
    for event in events:
        for name in fields.get(event.kind, ()):
            if event.data.get(name):
                yield str(event.data[name])
        if "verdict" in event.data and event.data["verdict"]["log"]:
            yield str(event.data["verdict"]["log"])


def _opened(cell_dir: Path, events: Sequence[Event]) -> tuple[dict[str, Any], list[str]]:
    """cell.json, and what is wrong with it."""
    try:
        meta: dict[str, Any] = json.loads((cell_dir / "cell.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        return {}, [f"cell.json: {problem}"]
    if events and not (meta.get("cell") == cell_dir.name == events[0].data.get("cell")):
        return meta, ["cell.json, the folder and the ledger name different cells"]
    return meta, []


def _blobs(cell_dir: Path, named: Sequence[str]) -> Iterator[str]:
    for sha in named:
        try:
            ledger.read_blob(cell_dir, sha)
        except Error as problem:
            yield f"{problem.where}: {problem.what}"


def _candidates(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    backend = ledger.backend_of(events) if events else ""
    languages = {str(e.data["language"]) for e in events if e.kind == "candidate"}
    for event in events:
        if event.kind == "step" and event.data["what"] == "verify":
            text = ledger.read_blob(cell_dir, event.data["source"])
            named = {Candidate(text, one, backend).sha for one in languages}
            if languages and event.data["candidate"] not in named:
                yield f"{where(event)}: the variant's name is not the hash of its source"
        if event.kind == "candidate" and event.data["candidate"] is not None:
            text = ledger.read_blob(cell_dir, event.data["source"])
            if Candidate(text, event.data["language"], backend).sha != event.data["candidate"]:
                yield f"{where(event)}: the candidate's name is not the hash of its source"


def _prompts(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        if event.kind == "ask":
            if event.data["proposal"].get("given") and not event.data["prompt"]:
                continue  # a source tried as it stands: nobody was asked
            try:
                json.loads(ledger.read_blob(cell_dir, event.data["prompt"]))
            except ValueError:
                yield f"{where(event)}: the prompt is not a list of messages"


def _duplicates(events: Sequence[Event]) -> Iterator[str]:
    seen: dict[tuple[str | None, int | None], Any] = {}
    for event in events:
        if event.kind != "verdict":
            continue
        seen[event.task, event.ordinal] = event.data["verdict"]
        first = event.data["duplicate_of"]
        if first is not None and seen.get((event.task, first)) != event.data["verdict"]:
            yield f"{where(event)}: a duplicate with another verdict than its original"


def _selections(events: Sequence[Event]) -> Iterator[str]:
    names = {
        (event.task, event.ordinal): event.data["candidate"]
        for event in events
        if event.kind == "candidate"
    }
    for event in events:
        if event.kind != "select":
            continue
        for one in event.data["finalists"]:
            if names.get((event.task, one["ordinal"])) != one["sha"]:
                finalist = f"finalist {one['ordinal']} of {event.task}"
                yield f"event {event.seq}: {finalist} is another candidate"
            for half in ("select", "report"):
                if one[half] is not None and from_json(Timing, one[half]).kind != "final":
                    yield f"event {event.seq}: {event.task} reports a timing of the search"
