# SPDX-License-Identifier: Apache-2.0
"""How far a cell is, read from its ledger alone: for ``status``, also while a bench writes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.budget import stage_seconds
from kernelcoder.ledger import Event, holder, is_call, read
from kernelcoder.matrix import Cell


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts of one cell. ``best`` is the best result so far over the cell's baseline: re-timed
    where ``final``, else a search timing. ``tokens`` and ``usd`` are charged, None if unknown;
    ``tokens_paid`` and ``usd_paid`` leave out what was answered from recordings. ``device_s`` are
    the verifier's seconds, final timings aside. ``attempts`` leaves out those the machine failed.
    ``seconds`` are of the running (or last) session, ``left`` estimated from it."""

    cell: str
    state: str
    tasks: int
    ended: int
    verified: int
    attempts: int
    best: float | None
    final: bool
    tokens: int | None
    usd: float | None
    tokens_paid: int | None
    usd_paid: float | None
    device_s: float
    seconds: float
    left: float | None


def standing(cell: Cell, cell_dir: Path, tasks: int) -> Standing:
    """Where a cell stands; a cell without a folder is to do."""
    events = read(cell_dir / "ledger.jsonl")
    baseline = str(cell.values["VERIFY_BASELINE"])
    judged = [event for event in events if event.kind == "verdict"]
    verdicts = [one for one in judged if one.data["verdict"]["status"] != "infra_error"]
    right = {event.task for event in verdicts if event.data["verdict"]["status"] == "verified"}
    selected = {event.task: event.data["chosen"] for event in events if event.kind == "select"}
    verified = sum(selected.get(task, 0) is not None for task in right)
    ended = len(selected)
    pid = holder(cell_dir)
    since, last = _session(events)
    running = pid is not None
    seconds = (time.time() if running else last) - since if events else 0.0
    final = _best(events, "select", baseline)
    best = final if final is not None else _best(events, "verdict", baseline)
    now = sum(1 for e in events if e.kind == "select" and e.time >= since)
    calls = [event for event in events if is_call(event)]
    paid = [event for event in calls if not event.data["replayed"]]
    left = seconds / now * (tasks - ended) if running and now else None
    return Standing(
        cell.id,
        _state(events, pid, ended, tasks),
        tasks,
        ended,
        verified,
        len(verdicts),
        best,
        final is not None,
        _tokens(calls),
        _usd(calls),
        _tokens(paid),
        _usd(paid),
        _device(events),
        seconds,
        left,
    )


def _state(events: Sequence[Event], pid: int | None, ended: int, tasks: int) -> str:
    ops = [event.data["op"] for event in events if event.kind == "control"]
    if pid is not None:
        return f"running (pid {pid})"
    if not ops:
        return "to do"
    return "done" if ops[-1] == "close" else f"stopped at {ended}/{tasks}"


def _session(events: Sequence[Event]) -> tuple[float, float]:
    """Times of the last ``open`` or ``resume`` and of the last event."""
    starts = [e.time for e in events if e.kind == "control" and e.data["op"] in ("open", "resume")]
    return (starts[-1], events[-1].time) if starts else (0.0, 0.0)


def _best(events: Sequence[Event], kind: str, baseline: str) -> float | None:
    found = []
    for event in events:
        if event.kind != kind:
            continue
        timing = event.data["verdict"]["timing"] if kind == "verdict" else _reported(event)
        if timing is not None and baseline in timing["speedup"]:
            found.append(float(timing["speedup"][baseline]["median"]))
    return max(found, default=None)


def _reported(event: Event) -> dict[str, dict[str, dict[str, float]]] | None:
    """The reported half of the chosen finalist."""
    for one in event.data["finalists"]:
        if one["ordinal"] == event.data["chosen"]:
            timing: dict[str, dict[str, dict[str, float]]] | None = one["report"]
            return timing
    return None


def _tokens(calls: Sequence[Event]) -> int | None:
    total = 0
    for event in calls:
        usage = event.data["usage"]
        if usage["input_tokens"] is None or usage["output_tokens"] is None:
            return None
        total += usage["input_tokens"] + usage["output_tokens"]
    return total


def _usd(calls: Sequence[Event]) -> float | None:
    costs = [event.data["usage"]["cost_usd"] for event in calls]
    return None if any(cost is None for cost in costs) else float(sum(costs))


def _device(events: Sequence[Event]) -> float:
    """Seconds of the verifier on attempts and on what was tried on the way to them. A duplicate
    took over its verdict and cost none."""
    total = 0.0
    for event in events:
        if event.kind == "verdict" and event.data["duplicate_of"] is None:
            total += stage_seconds(event.data["verdict"]["seconds"])
        elif event.kind == "step" and event.data["what"] == "verify":
            total += float(event.data["seconds"])
    return total
