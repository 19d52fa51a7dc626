# SPDX-License-Identifier: Apache-2.0
"""Where the budget went: calls for kernels, for steps of a recipe, for lessons of a memory; the
verifier on kernels, on variants and on lessons. Charged, and of it paid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.report.source import CellRun, Try, tokens_of

OWNERS: Mapping[str, str] = {
    "kernel": "writing kernels",
    "recipe": "steps of the recipe",
    "lesson": "lessons of the memory",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Calls of one role. ``tokens`` and ``usd`` are charged, sums of what servers reported;
    ``tokens_paid`` and ``usd_paid`` leave out what recordings answered; ``unknown`` counts calls
    without tokens or price. ``seconds`` is model latency."""

    owner: str
    purpose: str
    calls: int
    calls_paid: int
    tokens: int
    tokens_paid: int
    usd: float
    usd_paid: float
    unknown: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waste:
    """Charged tokens and dollars of attempts by how they ended (``verified``, ``failed``,
    ``repeated``, ``quarantined``), and how many of each."""

    ended: str
    attempts: int
    tokens: int
    usd: float
    device_s: float


def parts(runs: Sequence[CellRun]) -> list[Part]:
    """Calls by owner and purpose, in the order of :data:`OWNERS`."""
    by: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        for call in run.calls:
            purpose = str(call.get("purpose", "")) if call["owner"] != "kernel" else ""
            by.setdefault((str(call["owner"]), purpose), []).append(call)
    order = list(OWNERS)
    return [
        _part(owner, purpose, calls)
        for (owner, purpose), calls in sorted(
            by.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        )
    ]


def _part(owner: str, purpose: str, calls: Sequence[Mapping[str, Any]]) -> Part:
    paid = [call for call in calls if not call.get("replayed")]
    return Part(
        owner, purpose, len(calls), len(paid), _tokens(calls), _tokens(paid), _usd(calls),
        _usd(paid),
        sum(tokens_of(c["usage"]) is None or c["usage"].get("cost_usd") is None for c in calls),
        math.fsum(float(c.get("latency_s") or 0.0) for c in calls),
    )  # fmt: skip


def _tokens(calls: Iterable[Mapping[str, Any]]) -> int:
    return sum(tokens_of(call["usage"]) or 0 for call in calls)


def _usd(calls: Iterable[Mapping[str, Any]]) -> float:
    return math.fsum(call["usage"].get("cost_usd") or 0.0 for call in calls)


def ended(attempt: Try) -> str:
    """How an attempt's budget ended: as a new verified kernel, or as one of the wastes."""
    if attempt.quarantined:
        return "quarantined"
    if attempt.duplicate_of is not None:
        return "repeated"
    good = attempt.verdict is not None and attempt.verdict.verified
    return "verified" if good else "failed" if attempt.verdict is not None else "not judged"


def wastes(runs: Sequence[CellRun]) -> list[Waste]:
    """What attempts cost by how they ended, lessons' tasks included."""
    by: dict[str, list[Try]] = {}
    for run in runs:
        for task in (*run.tasks, *run.lessons):
            for attempt in task.tries:
                by.setdefault(ended(attempt), []).append(attempt)
    order = ("verified", "repeated", "failed", "quarantined", "not judged")
    return [
        Waste(
            name,
            len(by[name]),
            sum(t.tokens or 0 for t in by[name]),
            math.fsum((t.usage.cost_usd or 0.0) if t.usage else 0.0 for t in by[name]),
            math.fsum(t.device for t in by[name]),
        )
        for name in order
        if name in by
    ]
