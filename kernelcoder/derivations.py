# SPDX-License-Identifier: Apache-2.0
"""What in a ledger follows from what else is recorded: each function yields what does not.

A kernel follows from its reply, a request's name from the recorded request, the total of a timing
from its cases, and the choice of a task's result from its finalists.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.choosing import choose
from kernelcoder.ledger import Event
from kernelcoder.prompts import extract
from kernelcoder.records import Request, Timing, from_json, sha256, to_json

ROUNDING = 1e-6  # relative; sums over a few cases in another order differ by much less


def where(event: Event) -> str:
    """An event for a sentence."""
    attempt = "" if event.ordinal is None else f"#{event.ordinal}"
    return f"event {event.seq} ({event.kind} {event.task}{attempt})"


def sources(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    """Every recorded source is what the rules of extraction take from the recorded reply."""
    replies: dict[tuple[str | None, int | None], str] = {}
    for event in events:
        key = event.task, event.ordinal
        if event.kind == "call":
            replies[key] = str(event.data["reply"])
        elif event.kind == "candidate":
            reply = ledger.read_blob(cell_dir, replies[key])
            found, _ = extract(reply, event.data["language"])
            if event.data["source"] != (sha256(found) if found else None):
                yield f"{where(event)}: the source is not what its reply holds"


def requests(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    """Where the request of an attempt was recorded beside the cell, it has the name the ledger
    gives it, it asks the recorded prompt, and it was answered by the recorded reply."""
    for event in events:
        if event.kind not in ("ask", "call"):
            continue
        digest = str(event.data["request"])
        try:
            path = cell_dir.parent / "calls" / digest[:2] / f"{digest}.json"
            recording = json.loads(path.read_text(encoding="utf-8"))
            request: Request = from_json(Request, recording["request"])
            reply = str(recording["reply"]["text"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as problem:
            yield f"{where(event)}: its recording cannot be read: {problem}"
            continue
        if request.digest != digest:
            yield f"{where(event)}: the recorded request has another digest"
        elif event.kind == "ask":
            prompt = json.loads(ledger.read_blob(cell_dir, event.data["prompt"]))
            if prompt != to_json(request.messages):
                yield f"{where(event)}: the prompt is not that of the recorded request"
        elif reply != ledger.read_blob(cell_dir, event.data["reply"]):
            yield f"{where(event)}: the reply is not the recorded one"


def timings(events: Sequence[Event]) -> Iterator[str]:
    """The totals of every timing follow from its cases."""
    for event in events:
        found: list[Any] = []
        if event.kind == "verdict":
            found = [event.data["verdict"]["timing"]]
        elif event.kind == "select":
            found = [one[half] for one in event.data["finalists"] for half in ("select", "report")]
        for data in found:
            if data is not None and (what := _wrong_total(from_json(Timing, data))):
                yield f"{where(event)}: {what} of a timing does not follow from its cases"


def _wrong_total(timing: Timing) -> str:
    """Which total does not follow, "" if all do (or if the timing has no cases to follow from).
    Held-out cases are in no total."""
    cases = [case for case in timing.cases if not case.heldout]
    if not cases:
        return ""
    if not _equal(timing.seconds, math.fsum(case.seconds for case in cases)):
        return "the sum of seconds"
    for name, total in timing.speedup.items():
        if not all(name in case.speedup for case in cases):
            return f"the speedup over {name}"
        if not _equal(total.median, _geomean(case.speedup[name].median for case in cases)):
            return f"the speedup over {name}"
    fractions = [case.roofline_fraction for case in cases if case.roofline_fraction]
    expected = _geomean(fractions) if fractions else None
    if (expected is None) != (timing.roofline_fraction is None):
        return "the roofline fraction"
    if expected is not None and not _equal(timing.roofline_fraction or 0.0, expected):
        return "the roofline fraction"
    return ""


def _geomean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=ROUNDING)


def choices(events: Sequence[Event], values: Mapping[str, Any]) -> Iterator[str]:
    """Every choice follows from its finalists, by the rule that the engine chooses by; ``values``
    are the cell's settings."""
    baselines = {}
    for event in events:
        if event.kind == "control" and event.data["op"] == "task_begin":
            baselines[event.task] = str(event.data["baseline"])
        elif event.kind == "select":
            timing = bool(values.get("VERIFY_TIMING", True))
            chosen, how = choose(event.data["finalists"], baselines[event.task], timing)
            if chosen != event.data["chosen"]:
                yield f"{where(event)}: from these finalists {chosen} is to be chosen ({how})"
