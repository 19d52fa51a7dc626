# SPDX-License-Identifier: Apache-2.0
"""The rows every table, chart, file and comparison is made from: cells, tasks, attempts.

A row is a plain dict that JSON can hold. None means unknown or not applicable, never zero.
A task's speedup is the *final* timing of its chosen kernel over the cell's baseline; search timings
appear in attempt rows only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder.budget import stage_seconds
from kernelcoder.records import STAGES, STATUSES, Ratio, Timing, Verdict
from kernelcoder.report import lost_calls, shrinkage, stats
from kernelcoder.report.source import CellRun, TaskRun, Try, load_all, tokens_of

Row = dict[str, Any]
FAST_P = (0.0, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
CELL_FIELDS = (
    "cell", "method", "memory", "model", "backend", "mode", "suite", "seed", "n_tasks",
    "n_verified", "fast_1", "geomean_all", "geomean_verified", "attempts", "tokens", "cost",
    "seconds",
)  # fmt: skip


def rows_of(folders: Iterable[Path]) -> list[Row]:
    """Cell rows straight from cell folders."""
    return [cell_row(run) for run in load_all(folders)]


def ratio_over(timing: Timing | None, baseline: str) -> Ratio | None:
    """The speedup over one baseline, None where it was not measured."""
    return timing.speedup.get(baseline) if timing is not None else None


def speedup(task: TaskRun, baseline: str = "") -> float | None:
    """Median final speedup of a task's chosen kernel, None without one."""
    ratio = ratio_over(task.final, baseline or task.baseline)
    return ratio.median if ratio is not None else None


def value_at_one(task: TaskRun, baseline: str = "") -> float:
    """What a task contributes to ``geomean_all``: its final speedup, slower kernels at their true
    value, and 1.0 where there is no verified kernel (of one whose speed is unknown, no mean is
    made)."""
    found = speedup(task, baseline)
    return 1.0 if found is None else found


def cell_row(run: CellRun) -> Row:
    """One row per cell; the fields of ``CELL_FIELDS`` first, under exactly these names."""
    axes = run.meta.get("axes", {})
    tries = [t for task in run.tasks for t in task.judged]
    verified = [task for task in run.tasks if task.winner is not None]
    judged = [t.verdict for t in tries if t.verdict is not None]
    modes = sorted({one.mode for one in judged if one.status != "no_candidate"})  # nothing ran
    row: Row = {
        "cell": run.id,
        **{axis: axes.get(axis) for axis in ("method", "memory", "model", "backend")},
        "mode": "+".join(modes) or None,
        "suite": axes.get("suite"),
        "seed": run.meta.get("seed"),
        "n_tasks": run.n_tasks,
        "n_verified": len(verified),
    }
    speeds = _speed_fields(run, verified)
    spent = _spending(run)
    row |= {name: speeds.pop(name) for name in ("fast_1", "geomean_all", "geomean_verified")}
    row |= {"attempts": len(tries), "tokens": spent.pop("tokens"), "cost": spent.pop("cost")}
    row["seconds"] = round(run.seconds, 3)
    row["device_seconds"] = _device_seconds(run)
    baselines = sorted({task.baseline for task in run.tasks})
    share = stats.wilson(len(verified), run.n_tasks)
    row |= {
        "finished": run.finished,
        "n_not_reproduced": sum(task.outcome == "not reproduced" for task in run.tasks),
        "baseline": "+".join(baselines) or None,
        "verified_lo": share[0] if share else None,
        "verified_hi": share[1] if share else None,
        **speeds,
        **spent,
        **_funnel(tries),
        **_quarantine(run.tasks),
        **shrinkage.cell_fields([_shrunk(task) for task in run.tasks]),
        "infra": len(run.infra),
        "model_id": run.model_id,
        "language_model": run.language_model,
        "machine": run.machine,
        "guarantee": run.guarantee or None,
        "ledger_head": run.head,
        "version": run.meta.get("version"),
        "verify_version": run.meta.get("verify_version"),
        "commit": run.meta.get("commit"),
        "dirty": run.meta.get("dirty"),
    }
    return row


def _speed_fields(run: CellRun, verified: Sequence[TaskRun]) -> Row:
    """fast_p, geometric means and intervals over all tasks. All None where the speedup of a
    verified kernel is unknown: it is not 1.0, and leaving it out would change the denominator."""
    idle = [None] * (run.n_tasks - len(run.tasks))
    known: list[float | None] = [*(speedup(task) for task in run.tasks), *idle]
    timed = [s for s in known if s is not None]
    unknown = not known or len(timed) < len(verified)
    everything = [] if unknown else [1.0 if s is None else s for s in known]
    fallback = [max(1.0, s) for s in everything]
    faster = sum(s is not None and s > 1.0 for s in known)
    share = None if unknown else stats.wilson(faster, len(known))
    sure = [ratio_over(task.final, task.baseline) for task in run.tasks]
    fields: Row = {
        "fast_1": None if unknown else stats.fast_p(known, 1.0),
        "fast_1_lo": share[0] if share else None,
        "fast_1_hi": share[1] if share else None,
        "n_timed": len(timed),
        "n_faster_sure": None if unknown else sum(r is not None and r.lo > 1.0 for r in sure),
        **_mean_fields("geomean_all", everything),
        **_mean_fields("geomean_verified", timed),
        **_mean_fields("geomean_fallback", fallback),
        "fast_p": {f"{p:g}": _fast_point(known, len(verified), p, unknown) for p in FAST_P},
    }
    for other in ("eager", "compile", "library", "reference"):
        ratios = [s for task in run.tasks if (s := speedup(task, other)) is not None]
        whole = bool(ratios) and len(ratios) == len(verified)
        each = [*(value_at_one(task, other) for task in run.tasks), *(1.0 for _ in idle)]
        fields |= _mean_fields(f"geomean_all_{other}", each if whole else [])
        fields |= _mean_fields(f"geomean_verified_{other}", ratios)
        fields[f"n_{other}"] = len(ratios)
    roofs = [task.final.roofline_fraction for task in run.tasks if task.final is not None]
    fields["roofline_geomean"] = stats.geomean([r for r in roofs if r])
    return fields


def _fast_point(
    known: Sequence[float | None], verified: int, p: float, unknown: bool
) -> float | None:
    """fast_p, where fast_0 is correctness and counts verified kernels nobody timed as well."""
    if not known:
        return None
    if p == 0:
        return verified / len(known)
    return None if unknown else stats.fast_p(known, p)


def _mean_fields(name: str, ratios: Sequence[float]) -> Row:
    interval = stats.geomean_interval(ratios) if ratios else None
    return {
        name: stats.geomean(ratios),
        f"{name}_lo": interval[0] if interval else None,
        f"{name}_hi": interval[1] if interval else None,
    }


def _spending(run: CellRun) -> Row:
    """Charged tokens and money of all calls, replayed ones included; None if any is unknown.
    ``paid_*`` leave out the calls answered from recordings."""
    tokens = [tokens_of(call["usage"]) for call in run.calls]
    cost = [call["usage"].get("cost_usd") for call in run.calls]
    paid = [i for i, call in enumerate(run.calls) if not call.get("replayed")]
    return {
        "tokens": _total(tokens),
        "cost": _total(cost),
        "calls": len(run.calls),
        "calls_paid": len(paid),
        "tokens_known": sum(t for t in tokens if t is not None),
        "tokens_unknown": sum(t is None for t in tokens),
        "cost_known": math.fsum(c for c in cost if c is not None),
        "cost_unknown": sum(c is None for c in cost),
        "tokens_paid": _total([tokens[i] for i in paid]),
        "cost_paid": _total([cost[i] for i in paid]),
        **lost_calls.fields(run.lost),
    }


def _device_seconds(run: CellRun) -> float:
    """Seconds of the verifier on all attempts, on what was tried on the way to them and in lessons;
    duplicates cost none."""
    tries = [t for task in (*run.tasks, *run.lessons) for t in task.tries]
    own = [t for t in tries if t.verdict is not None and t.duplicate_of is None]
    judged = math.fsum(stage_seconds(t.verdict.seconds) for t in own if t.verdict is not None)
    return round(judged + math.fsum(t.tried_s for t in tries) + run.learning_s, 3)


def _total(values: Sequence[Any]) -> Any:
    if any(value is None for value in values):
        return None
    return math.fsum(values) if any(isinstance(v, float) for v in values) else sum(values)


def _funnel(tries: Sequence[Try]) -> Row:
    """How many attempts reached at least each stage, and how each ended. Duplicates count again:
    they were attempts too; ``duplicates`` says how many."""
    verdicts = [t.verdict for t in tries if t.verdict is not None]
    reached: Counter[str] = Counter(verdict.stage for verdict in verdicts)
    at_least = {
        stage: sum(reached[later] for later in STAGES[position:])
        for position, stage in enumerate(STAGES)
    }
    ended: Counter[str] = Counter(verdict.status for verdict in verdicts)
    return {
        "funnel": {**at_least, "candidates": sum(bool(t.candidate) for t in tries)},
        "statuses": {status: ended[status] for status in STATUSES if ended[status]},
        "duplicates": sum(t.duplicate_of is not None for t in tries),
        "labels": _labels(verdicts),
        "corrupted": sum(bool(t.corrupted) for t in tries),
        "corrupted_verified": sum(
            bool(t.corrupted) and t.verdict is not None and t.verdict.verified for t in tries
        ),
    }


def _labels(verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """Status -> label -> how many attempts, most frequent first: what judges noticed."""
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.status, Counter()).update(verdict.labels)
    return {status: dict(each.most_common()) for status, each in sorted(found.items()) if each}


def _quarantine(tasks: Sequence[TaskRun]) -> Row:
    """Attempts that the machine failed: how many, and [how many, reported reason] of each kind."""
    lost = [t.verdict for task in tasks for t in task.tries if t.quarantined and t.verdict]
    why = Counter(verdict.reason for verdict in lost)
    ordered = sorted(why.items(), key=lambda item: (-item[1], item[0]))
    return {"quarantined": len(lost), "quarantined_reasons": [[n, text] for text, n in ordered]}


def task_rows(runs: Iterable[CellRun]) -> list[Row]:
    """One row per task of a cell: outcome and final numbers of the chosen kernel."""
    return [_task_row(run, task) for run in runs for task in run.tasks]


def _task_row(run: CellRun, task: TaskRun) -> Row:
    winner, final = task.winner, task.final
    judged = task.judged
    row: Row = {
        "cell": run.id,
        "task": task.id,
        "outcome": task.outcome,
        "why": task.why or None,
        "baseline": task.baseline,
        "attempts": len(judged),
        "verified_attempts": sum(t.verdict is not None and t.verdict.verified for t in judged),
        "statuses": dict(Counter(t.verdict.status for t in judged if t.verdict is not None)),
        "quarantined": sum(t.quarantined for t in task.tries),
        "chosen": winner.ordinal if winner else None,
        "candidate": winner.candidate if winner else None,
        "mode": winner.verdict.mode if winner and winner.verdict else None,
    }
    for baseline in ("eager", "compile", "library", "reference"):
        row |= ratio_fields(baseline, ratio_over(final, baseline))
    search = winner.verdict.timing if winner and winner.verdict else None
    row |= {
        "roofline_fraction": final.roofline_fraction if final else None,
        "kernel_seconds": final.seconds if final else None,
        **ratio_fields("search", ratio_over(search, task.baseline)),
        **_shrunk(task),
        "tokens": _total([t.tokens for t in task.tries if t.usage is not None]),
        "cost": _total([t.usage.cost_usd for t in task.tries if t.usage is not None]),
        "seconds": math.fsum(t.seconds or 0.0 for t in task.tries),
        "digest": task.digest,
    }
    return row


def _shrunk(task: TaskRun) -> Row:
    """What is left of the chosen kernel's search speedup, and of the final one elsewhere."""
    winner = task.winner
    search = ratio_over(winner.verdict.timing if winner and winner.verdict else None, task.baseline)
    return shrinkage.task_fields(search.median if search else None, task.final, task.baseline)


def ratio_fields(name: str, ratio: Ratio | None) -> Row:
    """``<name>``, ``<name>_lo``, ``<name>_hi``, ``<name>_n`` of a speedup."""
    return {
        name: ratio.median if ratio else None,
        f"{name}_lo": ratio.lo if ratio else None,
        f"{name}_hi": ratio.hi if ratio else None,
        f"{name}_n": ratio.n if ratio else None,
    }


def attempt_rows(runs: Iterable[CellRun]) -> list[Row]:
    """One row per attempt, in ledger order of cell, task, ordinal."""
    return [
        _attempt_row(run, task, attempt)
        for run in runs
        for task in run.tasks
        for attempt in task.tries
    ]


def _attempt_row(run: CellRun, task: TaskRun, t: Try) -> Row:
    verdict, usage = t.verdict, t.usage
    seconds: Mapping[str, float] = verdict.seconds if verdict else {}
    return {
        "cell": run.id,
        "task": task.id,
        "ordinal": t.ordinal,
        "role": t.proposal.role,
        "parents": list(t.proposal.parents),
        "status": verdict.status if verdict else None,
        "stage": verdict.stage if verdict else None,
        "mode": verdict.mode if verdict else None,
        "reason": verdict.reason if verdict else None,
        "candidate": t.candidate or None,
        "duplicate_of": t.duplicate_of,
        **ratio_fields("search", ratio_over(verdict.timing if verdict else None, task.baseline)),
        "cases": len(verdict.cases) if verdict else None,
        "cases_ok": sum(case.ok for case in verdict.cases) if verdict else None,
        "checked": dict(verdict.checked) if verdict else {},
        "labels": list(verdict.labels) if verdict else [],
        "tokens": t.tokens,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost": usage.cost_usd if usage else None,
        "latency": t.latency_s,
        "replayed": t.replayed,
        "seconds": dict(seconds),
        "verify_seconds": stage_seconds(seconds) if verdict else None,
        "served": t.served or None,
        "finish": t.finish or None,
        "request": t.request or None,
        "window": t.window,
        "chain": t.proposal.chain,
        "arm": t.proposal.arm or None,
        "chosen": task.winner is not None and task.winner.ordinal == t.ordinal,
    }
