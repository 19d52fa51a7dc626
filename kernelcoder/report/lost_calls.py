# SPDX-License-Identifier: Apache-2.0
"""Calls whose reply could not be used: asked again, in no attempt, and perhaps paid all the same.

Also the replies that ended at their limit of tokens and were asked for once more: those are
charged to their attempt and counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.report.quote import esc
from kernelcoder.report.source import CellRun, tokens_of
from kernelcoder.report.tables import table
from kernelcoder.wording import count, tally


def fields(lost: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Row fields: how many, the tokens that servers reported for them, for how many nobody knows,
    and how often which reason."""
    own = [one for one in lost if not one["charged"]]
    tokens = [tokens_of(one["usage"]) for one in own]
    return {
        "calls_lost": len(own),
        "calls_cut_off": len(lost) - len(own),
        "tokens_lost_known": sum(t for t in tokens if t is not None),
        "tokens_lost_unknown": sum(t is None for t in tokens),
        "lost_reasons": dict(sorted(Counter(str(one["why"]) for one in lost).items())),
    }


def section(runs: Sequence[CellRun]) -> str:
    """The lost calls of cells as HTML, "" where there are none."""
    lost = [one for run in runs for one in run.lost]
    if not lost:
        return ""
    by: dict[str, list[Mapping[str, Any]]] = {}
    for one in lost:
        by.setdefault(str(one["why"]), []).append(one)
    body = [[esc(why), *_sums(some)] for why, some in sorted(by.items())]
    head = ["why", "calls", "tokens reported", "tokens unknown", "charged to an attempt"]
    total = sum(not one["charged"] for one in lost)
    said = (
        f"<p>{tally(total, 'call')} ended without a reply that could be used. They were asked "
        "again and are in no attempt and in no sum above; what a provider took for them comes on "
        "top of what was paid.</p>"
    )
    return f"<h3>Calls that were lost</h3>{said}{table(head, body)}"


def _sums(some: Sequence[Mapping[str, Any]]) -> list[str]:
    tokens = [tokens_of(one["usage"]) for one in some]
    known = sum(t for t in tokens if t is not None)
    charged = sum(bool(one["charged"]) for one in some)
    return [str(len(some)), count(known), str(sum(t is None for t in tokens)), str(charged)]
