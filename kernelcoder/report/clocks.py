# SPDX-License-Identifier: Apache-2.0
"""Wall time of a ledger whose run may have been interrupted, and whom its calls served."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.ledger import Event


def owner(event: Event) -> str:
    """Whom a call served: ``kernel``, ``recipe`` (a step on the way to one) or ``lesson``."""
    if event.kind == "call":
        return "kernel"
    return "lesson" if event.ordinal is None else "recipe"


def running(events: Sequence[Event]) -> list[float]:
    """For every event the wall seconds since the first, pauses between sessions left out."""
    out: list[float] = []
    last, total = 0.0, 0.0
    for event in events:
        begins = event.kind == "control" and event.data.get("op") in ("open", "resume")
        total += 0.0 if begins or not out else max(0.0, event.time - last)
        last = event.time
        out.append(total)
    return out


def wall(events: Sequence[Event]) -> float:
    """Wall seconds over all sessions: from each ``open`` or ``resume`` to the last event before
    the next one, so that the pause between an interruption and its resumption does not count."""
    total, start, last = 0.0, None, 0.0
    for event in events:
        now = event.time
        if event.kind == "control" and event.data.get("op") in ("open", "resume"):
            total += last - start if start is not None else 0.0
            start = now
        start, last = (now if start is None else start), now
    return total + (last - start if start is not None else 0.0)


def learning(events: Sequence[Event]) -> float:
    """Seconds of the verifier on what a memory had tried between tasks."""
    aside = [event.data for event in events if event.kind == "step" and event.ordinal is None]
    return float(sum(one["seconds"] for one in aside if one["what"] == "verify"))
