# SPDX-License-Identifier: Apache-2.0
"""Checks a cell's folder as a stranger would: nothing is believed that cannot be derived again.

The hash chain, the order of events, every blob's name, that each candidate's name is the hash of
its source, that each claimed verdict has the source it speaks of, that duplicates carry the
verdict of their original, and that every selection names what was re-timed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.errors import Error
from kernelcoder.ledger import Event
from kernelcoder.records import Candidate, Timing, from_json

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
    named = sorted(set(_named(events)))
    problems = [*_opened(cell_dir, events), *_blobs(cell_dir, named)]
    if not problems:
        problems += [*_candidates(cell_dir, events), *_prompts(cell_dir, events)]
    problems += [*_duplicates(events), *_selections(events)]
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
        numbers(events),
    )


def _named(events: Sequence[Event]) -> Iterator[str]:
    """Every blob an event speaks of."""
    fields = {
        "ask": ("prompt",),
        "call": ("reply", "sent"),
        "candidate": ("source",),
        "learn": ("snapshot",),
    }
    for event in events:
        for name in fields.get(event.kind, ()):
            if event.data.get(name):
                yield str(event.data[name])
        if event.kind == "verdict" and event.data["verdict"]["log"]:
            yield str(event.data["verdict"]["log"])


def _opened(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    try:
        meta = json.loads((cell_dir / "cell.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        yield f"cell.json: {problem}"
        return
    if events and not (meta.get("cell") == cell_dir.name == events[0].data.get("cell")):
        yield "cell.json, the folder and the ledger name different cells"


def _blobs(cell_dir: Path, named: Sequence[str]) -> Iterator[str]:
    for sha in named:
        try:
            ledger.read_blob(cell_dir, sha)
        except Error as problem:
            yield f"{problem.where}: {problem.what}"


def _where(event: Event) -> str:
    return f"event {event.seq} ({event.kind} {event.task}#{event.ordinal})"


def _candidates(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    backend = ledger.backend_of(events) if events else ""
    for event in events:
        if event.kind == "candidate" and event.data["candidate"] is not None:
            text = ledger.read_blob(cell_dir, event.data["source"])
            if Candidate(text, event.data["language"], backend).sha != event.data["candidate"]:
                yield f"{_where(event)}: the candidate's name is not the hash of its source"


def _prompts(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        if event.kind == "ask":
            try:
                json.loads(ledger.read_blob(cell_dir, event.data["prompt"]))
            except ValueError:
                yield f"{_where(event)}: the prompt is not a list of messages"


def _duplicates(events: Sequence[Event]) -> Iterator[str]:
    seen: dict[tuple[str | None, int | None], Any] = {}
    for event in events:
        if event.kind != "verdict":
            continue
        seen[event.task, event.ordinal] = event.data["verdict"]
        first = event.data["duplicate_of"]
        if first is not None and seen.get((event.task, first)) != event.data["verdict"]:
            yield f"{_where(event)}: a duplicate with another verdict than its original"


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


def numbers(events: Sequence[Event]) -> dict[str, Any]:
    """The counts and results a report shows, from the events alone."""
    verdicts = [event for event in events if event.kind == "verdict"]
    statuses: dict[str, int] = {}
    for event in verdicts:
        status = event.data["verdict"]["status"]
        statuses[status] = statuses.get(status, 0) + 1
    results: dict[str, Any] = {}
    for event in events:
        if event.kind == "select":
            results[str(event.task)] = _result(event.data)
    calls = [event.data for event in events if event.kind == "call"]
    return {
        "attempts": len(verdicts),
        "statuses": dict(sorted(statuses.items())),
        "calls": len(calls),
        "paid": sum(not call["replayed"] for call in calls),
        "results": results,
    }


def _result(data: Mapping[str, Any]) -> dict[str, float] | str | None:
    """Speedup per baseline of the chosen kernel; ``untimed``; None if nothing was chosen."""
    for one in data["finalists"]:
        if one["ordinal"] == data["chosen"]:
            if one["report"] is None:
                return "untimed"
            return {name: ratio["median"] for name, ratio in one["report"]["speedup"].items()}
    return None
