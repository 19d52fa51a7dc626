# SPDX-License-Identifier: Apache-2.0
"""Everything about every attempt as one JSON value, small enough for ten thousand of them.

Prompts repeat the task text and each other's kernels, so texts are cut at blank lines and every
block is stored once; a text is a list of block numbers. Cases are named once per page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder import wording
from kernelcoder.records import Timing, Verdict
from kernelcoder.report import effects
from kernelcoder.report.source import CellRun, TaskRun, Try

MOST_PLACES = 6  # of an item's provenance that the page names


class Pool:
    """Interns texts by blocks; :meth:`add` returns the number of a text."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.texts: list[list[int]] = []
        self._block_of: dict[str, int] = {}
        self._text_of: dict[str, int] = {}

    def add(self, text: str) -> int:
        """Number of the text; the same text always gets the same one."""
        known = self._text_of.get(text)
        if known is not None:
            return known
        row = []
        for block in text.split("\n\n"):
            number = self._block_of.setdefault(block, len(self.blocks))
            if number == len(self.blocks):
                self.blocks.append(block)
            row.append(number)
        self._text_of[text] = len(self.texts)
        self.texts.append(row)
        return len(self.texts) - 1


def payload(runs: Sequence[CellRun], labels: Sequence[str]) -> dict[str, Any]:
    """The page's data: ``blocks``, ``texts``, ``cases`` and ``cells`` with their attempts."""
    pool, cases = Pool(), _Cases()
    cells = [
        {
            "id": run.id,
            "label": label,
            "items": _items(run, pool),
            "tasks": [_task(run, task, pool, cases) for task in run.tasks],
        }
        for run, label in zip(runs, labels, strict=True)
    ]
    return {"blocks": pool.blocks, "texts": pool.texts, "cases": cases.rows, "cells": cells}


def _items(run: CellRun, pool: Pool) -> dict[str, list[Any]]:
    """Learnt items that prompts of the cell were meant to hold: text and where it comes from."""
    return {
        name: [pool.add(text), list(places[:MOST_PLACES]), len(places)]
        for name, (text, places) in sorted(effects.learnt(run).items())
    }


def _step(run: CellRun, step: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    """One step of a recipe: a question to the model, or a variant that was verified."""
    if step["what"] == "verify":
        verdict = step["verdict"]
        entry = {
            "what": "verify",
            "purpose": step["purpose"],
            "status": verdict["status"],
            "reason": pool.add(verdict["reason"]) if verdict["reason"] else None,
            "source": pool.add(run.blob(step["source"])),
            "seconds": step["seconds"],
        }
    else:
        usage = step["usage"]
        entry = {
            "what": "ask",
            "purpose": step["purpose"],
            "prompt": _prompt(run.blob(step["prompt"]), pool),
            "reply": pool.add(run.blob(step["reply"])),
            "sent": pool.add(run.blob(step["sent"])) if step["sent"] else None,
            "served": step["served"],
            "usage": [usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]],
            "latency": step["latency_s"],
            "replayed": step["replayed"],
        }
    return {name: value for name, value in entry.items() if not _absent(value)}


class _Cases:
    """Interns the describing part of case results."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._of: dict[tuple[Any, ...], int] = {}

    def add(self, *what: Any) -> int:
        number = self._of.setdefault(what, len(self.rows))
        if number == len(self.rows):
            self.rows.append([list(w) if isinstance(w, tuple) else w for w in what])
        return number


def _task(run: CellRun, task: TaskRun, pool: Pool, cases: _Cases) -> dict[str, Any]:
    winner = task.winner
    return {
        "id": task.id,
        "baseline": task.baseline,
        "chosen": winner.ordinal if winner else None,
        "final": _timing(task.final),
        "tries": [_try(run, t, pool, cases) for t in task.tries],
    }


def _try(run: CellRun, t: Try, pool: Pool, cases: _Cases) -> dict[str, Any]:
    usage = t.usage
    entry: dict[str, Any] = {
        "n": t.ordinal,
        "role": t.proposal.role,
        "parents": list(t.proposal.parents),
        "prompt": _prompt(run.blob(t.prompt), pool),
        "context": [
            [name.removeprefix(effects.HELD), int(name.startswith(effects.HELD))]
            for name in t.context
        ],
        "steps": [_step(run, step, pool) for step in t.steps],
        "shown": list(t.proposal.shown),
        "chain": t.proposal.chain,
        "arm": t.proposal.arm,
        "recipe": t.proposal.step,
        "given": bool(t.proposal.given),
        "reply": pool.add(run.blob(t.reply)) if t.reply else None,
        "sent": pool.add(run.blob(t.sent)) if t.sent else None,
        "source": pool.add(run.blob(t.source)) if t.source else None,
        "sha": t.candidate[:12],
        "dup": t.duplicate_of,
        "served": t.served,
        "finish": t.finish,
        "latency": t.latency_s,
        "replayed": t.replayed,
        "usage": [usage.input_tokens, usage.output_tokens, usage.cost_usd] if usage else None,
        "note": pool.add(t.note) if t.note else None,
        "hint": pool.add(t.proposal.hint) if t.proposal.hint else None,
    }
    if t.verdict is not None:
        entry |= _verdict(run, t.verdict, t.duplicate_of is not None, pool, cases)
    return {name: value for name, value in entry.items() if not _absent(value)}


def _absent(value: Any) -> bool:
    """Whether a field says nothing; the number 0 does say something."""
    return value is None or value is False or value == "" or value == []


def _prompt(text: str, pool: Pool) -> list[list[Any]]:
    return [[m["role"], pool.add(m["content"])] for m in _messages(text)]


def _messages(text: str) -> list[dict[str, str]]:
    """The messages of a prompt blob; a blob that is no such list is shown as one text."""
    try:
        data = json.loads(text or "[]")
        return [{"role": str(m["role"]), "content": str(m["content"])} for m in data]
    except (ValueError, TypeError, KeyError):
        return [{"role": "text", "content": text}]


def _verdict(
    run: CellRun, verdict: Verdict, repeated: bool, pool: Pool, cases: _Cases
) -> dict[str, Any]:
    """Cases of a duplicate are those of the first and are not stored twice."""
    table = [
        [
            cases.add(case.name, case.shape, case.dtype, case.layout, case.hidden),
            int(case.ok),
            _finite(case.max_abs),
            _finite(case.max_rel),
            _finite(case.max_ulp),
            case.mismatches,
            case.total,
            case.cause,
        ]
        for case in ([] if repeated else verdict.cases)
    ]
    return {
        "status": verdict.status,
        "stage": verdict.stage,
        "mode": verdict.mode,
        "reason": pool.add(verdict.reason) if verdict.reason else None,
        "evidence": [pool.add(fact) for fact in verdict.evidence],
        "labels": list(verdict.labels),
        "checked": pool.add(wording.checks(verdict.checked)) if verdict.checked else None,
        "log": pool.add(run.blob(verdict.log)) if verdict.log else None,
        "cases": table,
        "timing": _timing(verdict.timing),
        "seconds": {name: round(value, 4) for name, value in verdict.seconds.items()},
    }


def _timing(timing: Timing | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    return {
        "kind": timing.kind,
        "speedup": {name: [r.median, r.lo, r.hi, r.n] for name, r in timing.speedup.items()},
        "roofline": timing.roofline_fraction,
        "seconds": timing.seconds,
        "cases": [
            [c.case, list(c.shape), c.dtype, c.regime, c.seconds, c.roofline_fraction,
             {name: [r.median, r.lo, r.hi, r.n] for name, r in c.speedup.items()}]
            for c in timing.cases
        ],
        "notes": list(timing.notes),
    }  # fmt: skip


def _finite(value: float | None) -> float | str | None:
    """Infinities and NaN by name: JSON has no numbers for them."""
    if value is None or math.isfinite(value):
        return None if value is None else float(f"{value:.3g}")
    return str(value)
