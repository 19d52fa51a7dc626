# SPDX-License-Identifier: Apache-2.0
"""What in a ledger follows from what else is recorded: each function yields what does not.

A kernel follows from its reply, a request's name from the recorded request, the total of a timing
from its cases, the choice of a task's result from its finalists, and the cost of a lesson from its
steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.budget import stage_seconds
from kernelcoder.choosing import choose
from kernelcoder.corruption import corrupt
from kernelcoder.ledger import Event, usage_of
from kernelcoder.prompts import extract
from kernelcoder.records import Request, Timing, Usage, from_json, sha256, to_json

ROUNDING = 1e-6  # relative; sums over a few cases in another order differ by much less


def where(event: Event) -> str:
    """An event for a sentence."""
    attempt = "" if event.ordinal is None else f"#{event.ordinal}"
    return f"event {event.seq} ({event.kind} {event.task}{attempt})"


def sources(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    """Every recorded source is what the rules of extraction take from the recorded reply, or one
    of the variants of it that the attempt had tried."""
    replies: dict[tuple[str | None, int | None], str] = {}
    tried: dict[tuple[str | None, int | None], set[str]] = {}
    for event in events:
        key = event.task, event.ordinal
        if event.kind == "step" and event.data["what"] == "verify":
            tried.setdefault(key, set()).add(str(event.data["source"]))
        if event.kind == "call":
            replies[key] = str(event.data["reply"])
        elif event.kind == "candidate":
            reply = ledger.read_blob(cell_dir, replies[key])
            found, _ = extract(reply, event.data["language"])
            whole = event.data.get("intact", event.data["source"])
            written = event.data.get("cut", whole)
            if written != (sha256(found) if found else None):
                yield f"{where(event)}: the source is not what its reply holds"
            if "cut" in event.data and whole not in tried.get(key, ()):
                yield f"{where(event)}: the source is no variant that was tried"
            if whole != event.data["source"]:
                intact = ledger.read_blob(cell_dir, whole)
                damaged, kind = corrupt(intact, event.data["language"])
                if (sha256(damaged), kind) != (event.data["source"], event.data["corrupted"]):
                    yield f"{where(event)}: the source is not what the damage makes of it"


def requests(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    """Where the request of an attempt was recorded beside the cell, it has the name the ledger
    gives it, it asks the recorded prompt, and it was answered by the recorded reply."""
    for event in events:
        if event.kind not in ("ask", "call", "step") or "request" not in event.data:
            continue
        # What a silent model was asked, another arm may have answered, under a name of its own.
        digest = str(event.data.get("answered", event.data["request"]))
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
            continue
        if event.data.get("prompt"):
            prompt = json.loads(ledger.read_blob(cell_dir, event.data["prompt"]))
            if prompt != to_json(request.messages):
                yield f"{where(event)}: the prompt is not that of the recorded request"
        if "reply" in event.data and reply != ledger.read_blob(cell_dir, event.data["reply"]):
            yield f"{where(event)}: the reply is not the recorded one"


def given(cell_dir: Path, events: Sequence[Event]) -> Iterator[str]:
    """A source that was given, and not asked for, is tried as it was named."""
    wanted = {
        (event.task, event.ordinal): str(event.data["proposal"].get("given", ""))
        for event in events
        if event.kind == "ask"
    }
    for event in events:
        sha = wanted.get((event.task, event.ordinal))
        if not sha:
            continue
        if event.kind == "candidate" and event.data["source"] not in (None, sha):
            yield f"{where(event)}: another source was tried than the one that was given"
        if event.kind == "call" and event.data["finish"] != "given":
            yield f"{where(event)}: a model was asked for a source that was given"


def tried(events: Sequence[Event]) -> Iterator[str]:
    """What was verified besides the attempts' kernels took the seconds its verdict says, and the
    totals of its timing follow from its cases. A kernel's name is checked with its blob."""
    for event in events:
        if event.kind == "step" and event.data["what"] == "verify":
            verdict = event.data["verdict"]
            if not _equal(float(event.data["seconds"]), stage_seconds(verdict["seconds"])):
                yield f"{where(event)}: its seconds are not those of its verdict"


def lessons(events: Sequence[Event]) -> Iterator[str]:
    """Each task that ended taught at most once, none that is held out did, and a lesson cost what
    its recorded steps cost."""
    parts = {e.task: e.data.get("part") for e in events if e.data.get("op") == "task_begin"}
    asides: dict[str, list[Mapping[str, Any]]] = {}
    ended: set[str] = set()
    taught: set[tuple[str, str]] = set()
    for event in events:
        if event.kind == "step" and event.ordinal is None:
            asides.setdefault(str(event.task), []).append(event.data)
        if event.data.get("op") == "task_end":
            ended.add(str(event.task))
        if event.kind != "learn":
            continue
        after, of = str(event.data["after"]), str(event.data.get("of", "memory"))
        told = f"event {event.seq} (learn {of} after {after})"
        if after not in ended:
            yield f"{told}: the task had not ended"
        if parts.get(after) == "evaluate":
            yield f"{told}: the task is held out and teaches nothing"
        if (after, of) in taught:
            yield f"{told}: for the second time"
        taught.add((after, of))
        steps = asides.get(after, []) if of == "memory" else []
        if "cost" in event.data and event.data["cost"] != _cost(steps):
            yield f"{told}: its cost is not that of its recorded steps"


def _cost(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    usages = [usage_of(step) for step in steps if step["what"] == "ask"]
    return {"calls": len(steps), "usage": to_json(sum(usages, Usage(0, 0, 0, 0, 0.0)))}


def routes(events: Sequence[Event]) -> Iterator[str]:
    """What a router says of a choice is a distribution in which the chosen arm had a chance."""
    for event in events:
        if event.kind == "ask" and (route := event.data.get("route")) is not None:
            chances = dict(route["propensities"])
            if not _equal(math.fsum(chances.values()), 1.0) or min(chances.values()) < 0:
                yield f"{where(event)}: the chances of the arms are no distribution"
            if not chances.get(event.data["proposal"]["arm"]):
                yield f"{where(event)}: the chosen arm had no chance"


def timings(events: Sequence[Event]) -> Iterator[str]:
    """The totals of every timing follow from its cases."""
    for event in events:
        found: list[Any] = []
        if event.kind == "verdict" or event.kind == "step" and event.data["what"] == "verify":
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
