# SPDX-License-Identifier: Apache-2.0
"""The rule by which one of the re-timed finalists becomes a task's result.

It reads finalists as a ``select`` event holds them, so that the engine decides by it and an audit
checks by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# How the reason of a finalist begins that the machine, not the kernel, kept from being timed.
MACHINE = "infra_error:"
# The reason of a finalist whose verifier times nothing: what is not run natively has no time.
UNTIMED = "timing is switched off"


def choose(
    finalists: Sequence[Mapping[str, Any]], baseline: str, timing: bool
) -> tuple[int | None, str]:
    """The chosen ordinal and how it was chosen; None if nothing verified or nothing held up.

    ``finalists`` have ``ordinal``, ``select`` and ``report`` (timings as JSON data, or None);
    ``baseline`` is the one speedups are judged by. Where it could not be timed with every
    finalist, the least CPU seconds per call decide, and ``how`` says so."""
    if not finalists:
        return None, "nothing verified"
    if not timing or all(one.get("reason") == UNTIMED for one in finalists):
        return min(int(one["ordinal"]) for one in finalists), "first verified, timing is off"
    held = [one for one in finalists if one["report"] is not None]
    if not held:
        if any(str(one["reason"]).startswith(MACHINE) for one in finalists):
            return None, "the machine failed while finalists were timed again"
        return None, "no finalist held up when timed again"
    if len(held) == 1:
        survived = "" if len(finalists) == 1 else " that held up"
        how = f"the only finalist{survived}, timed again"
        return int(held[0]["ordinal"]), how + _lacking(held[0]["report"], baseline)
    judged = [_judged_by(one) for one in held]
    if all(baseline in timed["speedup"] for timed in judged):
        scores = [float(timed["speedup"][baseline]["median"]) for timed in judged]
        how = "fastest in the selection half of the re-timing; the other half is reported"
    else:
        scores = [-float(timed["seconds"]) for timed in judged]
        how = (
            f"fewest CPU seconds in the selection half of the re-timing, as {baseline} could not "
            "be timed with every finalist; the other half is reported"
        )
    ranked = zip(scores, held, strict=True)
    best = max(ranked, key=lambda pair: (pair[0], -int(pair[1]["ordinal"])))[1]
    return int(best["ordinal"]), how


def _judged_by(finalist: Mapping[str, Any]) -> Mapping[str, Any]:
    """The selection half; the whole timing of one that was re-timed alone."""
    timing: Mapping[str, Any] = finalist["select"] or finalist["report"]
    return timing


def _lacking(report: Mapping[str, Any], baseline: str) -> str:
    if baseline in report["speedup"]:
        return ""
    return f"; {baseline} could not be timed, so its speedup is unknown"
