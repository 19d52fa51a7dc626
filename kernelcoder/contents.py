# SPDX-License-Identifier: Apache-2.0
"""What a ledger says, apart from when and how fast: for comparing two runs of one cell.

Two runs that asked the same, were answered the same and judged the same have the same content
digest, whatever the clock measured, in which order tasks interleaved and how often they were
interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kernelcoder.ledger import Event, canonical
from kernelcoder.records import sha256
from kernelcoder.wording import TAKEN_OVER

_RUN_ONLY = {
    "call": ("latency_s", "replayed"),
    "step": ("latency_s", "replayed", "seconds"),
    "control": ("pid",),
}
_MEASURED = ("timing", "seconds", "log", "versions")


def content(event: Event) -> Any | None:
    """The part of an event that must repeat; None for events that say only how the run went."""
    data: dict[str, Any] = dict(event.data)
    if event.kind == "control" and data.get("op") in ("resume", "infra"):
        return None
    for name in _RUN_ONLY.get(event.kind, ()):
        data.pop(name, None)
    if event.kind == "verdict" or data.get("what") == "verify":
        data["verdict"] = _verdict(data["verdict"])
    if event.kind == "select":
        data = _select(data)
    return [event.kind, event.ordinal, data]


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Stage ``measured`` is ``verified`` with a clock; evidence of a timed one quotes the clock."""
    kept = {name: value for name, value in verdict.items() if name not in _MEASURED}
    kept["evidence"] = [text for text in verdict["evidence"] if text != TAKEN_OVER]
    if verdict["timing"] is not None:
        kept["stage"] = "verified"
        del kept["evidence"], kept["reason"]
    return kept


def _select(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without timing the choice must repeat; with it only which candidates exist does."""
    timed = any(one["select"] is not None for one in data["finalists"])
    return {} if timed else {"chosen": data["chosen"], "how": data["how"]}


def content_digest(events: Iterable[Event]) -> str:
    """SHA-256 over the cell's own events and then each task's, tasks by name, steps by ordinal."""
    tasks: dict[str, list[tuple[int, Any]]] = {}
    for event in events:
        kept = content(event)
        if kept is None:
            continue
        # Attempts interleave freely, each in its own order; what frames them stays around them.
        place = 1 << 30 if event.ordinal is None else event.ordinal
        if event.ordinal is None and event.data.get("op") in ("open", "task_begin"):
            place = -1
        tasks.setdefault(event.task or "", []).append((place, kept))
    ordered = {
        name: [kept for _, kept in sorted(rows, key=lambda row: row[0])]
        for name, rows in tasks.items()
    }
    return sha256(canonical(ordered))
