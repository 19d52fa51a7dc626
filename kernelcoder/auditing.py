# SPDX-License-Identifier: Apache-2.0
"""Checks a cell's folder as a stranger would: nothing is believed that cannot be derived again.

The hash chain, the order of events, every blob's name, that each candidate's name is the hash of
its source and its source is what the reply holds, that requests have the names they are recorded
under, that duplicates carry the verdict of their original, that totals of timings follow from
their cases and choices from their finalists, and that the rows of a report are what the raw events
give when counted once more.

The chain has no key: whoever rewrites the whole folder consistently, recordings included, is not
detected. For that keep the last hash (``ledger_head`` of the rows) where the author cannot reach.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import derivations, ledger
from kernelcoder.derivations import where
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
    meta, problems = _opened(cell_dir, events)
    problems += _blobs(cell_dir, named)
    if not problems:
        problems += [*_candidates(cell_dir, events), *_prompts(cell_dir, events)]
    if not problems:
        problems += derivations.sources(cell_dir, events)
        problems += derivations.requests(cell_dir, events)
    problems += [*_duplicates(events), *_selections(events), *derivations.timings(events)]
    problems += derivations.choices(events, meta.get("values", {}))
    found = numbers(events)
    if not problems:
        problems += _reported(cell_dir, meta, found)
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
    for event in events:
        if event.kind == "candidate" and event.data["candidate"] is not None:
            text = ledger.read_blob(cell_dir, event.data["source"])
            if Candidate(text, event.data["language"], backend).sha != event.data["candidate"]:
                yield f"{where(event)}: the candidate's name is not the hash of its source"


def _prompts(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        if event.kind == "ask":
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


def numbers(events: Sequence[Event]) -> dict[str, Any]:
    """The counts and results a report shows, from the events alone. Attempts that the machine
    failed are ``quarantined`` and in no other count."""
    statuses: dict[str, int] = {}
    for event in events:
        if event.kind == "verdict":
            status = event.data["verdict"]["status"]
            statuses[status] = statuses.get(status, 0) + 1
    quarantined = statuses.pop("infra_error", 0)
    results: dict[str, Any] = {}
    baselines: dict[str, str] = {}
    for event in events:
        if event.kind == "select":
            results[str(event.task)] = _result(event.data)
        elif event.kind == "control" and event.data["op"] == "task_begin":
            baselines[str(event.task)] = str(event.data["baseline"])
    calls = [event.data for event in events if event.kind == "call"]
    return {
        "attempts": sum(statuses.values()),
        "quarantined": quarantined,
        "statuses": dict(sorted(statuses.items())),
        "calls": len(calls),
        "paid": sum(not call["replayed"] for call in calls),
        "tokens": _sum(_tokens(call["usage"]) for call in calls),
        "cost": _sum(call["usage"]["cost_usd"] for call in calls),
        "results": results,
        "baselines": baselines,
    }


def _tokens(usage: Mapping[str, Any]) -> int | None:
    given, made = usage["input_tokens"], usage["output_tokens"]
    return None if given is None or made is None else given + made


def _sum(values: Iterator[Any]) -> Any:
    known = list(values)
    return None if None in known else sum(known)


def _result(data: Mapping[str, Any]) -> dict[str, float] | str | None:
    """Speedup per baseline of the chosen kernel; ``untimed``; None if nothing was chosen."""
    for one in data["finalists"]:
        if one["ordinal"] == data["chosen"]:
            if one["report"] is None:
                return "untimed"
            return {name: ratio["median"] for name, ratio in one["report"]["speedup"].items()}
    return None


def _reported(cell_dir: Path, meta: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Fields of the report's row that the raw events do not give."""
    from kernelcoder.report.rows import cell_row
    from kernelcoder.report.source import load

    row = cell_row(load(cell_dir))
    for name, expected in _row(meta, found).items():
        given = row[name]
        if isinstance(given, float) and isinstance(expected, (int, float)):
            same = math.isclose(given, expected, rel_tol=derivations.ROUNDING, abs_tol=1e-12)
        else:
            same = given == expected
        if not same:
            yield f"the report's {name} is {given!r}, the events give {expected!r}"


def _row(meta: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The headline of a report, made from the numbers of the events."""
    results, baselines = found["results"], found["baselines"]
    n_tasks = len({*meta.get("tasks", ()), *baselines})
    good = {task: result for task, result in results.items() if result is not None}
    speeds = [
        result[baselines[task]]
        for task, result in good.items()
        if isinstance(result, dict) and baselines[task] in result
    ]
    whole = n_tasks > 0 and len(speeds) == len(good)
    mean = math.exp(math.fsum(map(math.log, speeds)) / n_tasks) if whole else None
    return {
        "n_tasks": n_tasks,
        "n_verified": len(good),
        "fast_1": sum(speed > 1.0 for speed in speeds) / n_tasks if whole else None,
        "geomean_all": mean,
        "attempts": found["attempts"],
        "quarantined": found["quarantined"],
        "statuses": found["statuses"],
        "calls": found["calls"],
        "calls_paid": found["paid"],
        "tokens": found["tokens"],
        "cost": found["cost"],
    }
