# SPDX-License-Identifier: Apache-2.0
"""The minimum reporting block: what a reader needs to judge the numbers, generated and never typed.

Source: reference specification of methods, 3.10.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder import wording
from kernelcoder.records import sha256
from kernelcoder.report.contrasts import Family
from kernelcoder.report.environment import day, show
from kernelcoder.report.rows import Row
from kernelcoder.report.source import CellRun


def minimum_block(
    runs: Sequence[CellRun], rows: Sequence[Row], declared: Family | None = None
) -> list[tuple[str, str]]:
    """The minimum reporting block: what a reader needs to judge the numbers, as (name, text)."""
    task_set = sorted({(task.id, task.digest) for run in runs for task in run.tasks})
    settings = sorted({sha256(repr(sorted(run.values.items())))[:12] for run in runs})
    windows = sorted({t.window for run in runs for task in run.tasks for t in task.tries})
    workers = sorted({show(run.values.get("RUN_WORKERS")) for run in runs})
    seeds = sorted({str(row["seed"]) for row in rows})
    gone: dict[str, int] = {}
    for row in rows:
        gone["infra_error verdicts"] = gone.get("infra_error verdicts", 0) + row["quarantined"]
        gone["server or machine events"] = gone.get("server or machine events", 0) + row["infra"]
    unfinished = [str(row["cell"]) for row in rows if not row["finished"]]
    return [
        ("task set", f"{len(task_set)} tasks, sha256 {sha256(repr(task_set))[:16]}"),
        ("exclusions", "none: the denominator is every task of a cell"
         + (f"; unfinished: {', '.join(unfinished)}" if unfinished else "")),
        ("configurations", _few(settings)),
        ("methods, memories", _few(sorted({f"{row['method']} {row['memory']}" for row in rows}))),
        ("models", ", ".join(sorted({str(row["model_id"]) for row in rows}))),
        ("dates", f"{day(min((run.first for run in runs), default=0.0))} to "
         f"{day(max((run.last for run in runs), default=0.0))}"),
        ("replicates (seeds)", f"{len(seeds)}: {', '.join(seeds)}"),
        ("search window B", ", ".join(map(str, windows)) or "-"),
        ("workers", f"{', '.join(workers)} (0: number of cores); never changes a proposal"),
        ("prices", "as the servers reported them at the time of the call"),
        ("matched budget", "attempts; tokens, money and seconds stand beside it"),
        ("hardware", ", ".join(sorted({str(row["machine"]) for row in rows}))),
        ("noise floor", "no device floor is subtracted; each speedup carries its interval"),
        ("score", "geometric mean over all tasks, failures at 1.0; curves: max(1, speedup so far)"),
        *_primary(declared),
        ("correctness", _correctness(rows)),
        ("fast_p", _fast(rows)),
        ("held-out gate", _gate(rows)),
        ("quarantined", ", ".join(f"{n} {what}" for what, n in sorted(gone.items()))),
        ("cost of everything", _everything(rows)),
    ]  # fmt: skip


def _few(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}: {', '.join(names[:most])}{more}"


def _primary(declared: Family | None) -> list[tuple[str, str]]:
    """Every declared contrast with estimate, interval, p and probability of improvement."""
    if declared is None or not declared.contrasts:
        return [("primary contrast", "none declared: comparisons on this page are exploratory")]
    out = []
    for one in declared.contrasts:
        c = one.contrast
        if c.ratio is None or c.p_speed is None or c.p_holm is None or c.improvement is None:
            text = "speed not measured"
        else:
            lo, hi = c.ratio_interval or (c.ratio, c.ratio)
            text = (
                f"{c.ratio:.2f} [{lo:.2f}, {hi:.2f}] resampling {c.resampled}, p {c.p_speed:.3g}, "
                f"Holm {c.p_holm:.3g}, better on a task with probability {c.improvement:.2f}"
            )
            if c.cluster_se is not None:
                text += f"; log ratio's standard error over families {c.cluster_se:.3f}"
        out.append((f"{one.member} against {one.control} ({one.where})", text))
    return [("declared contrasts", str(len(out))), *out]


def _correctness(rows: Sequence[Row]) -> str:
    good, total = sum(row["n_verified"] for row in rows), sum(row["n_tasks"] for row in rows)
    return f"{good} of {total} (task, cell) pairs verified on hidden cases"


def _fast(rows: Sequence[Row]) -> str:
    known = [row["fast_1"] for row in rows if row["fast_1"] is not None]
    if not known:
        return "speed was not measured"
    return f"fast_1 from {100 * min(known):.0f}% to {100 * max(known):.0f}%; the curve is drawn"


def _gate(rows: Sequence[Row]) -> str:
    lost = sum(row["n_not_reproduced"] for row in rows)
    kept = sum(row["n_verified"] for row in rows)
    return f"{kept} of {kept + lost} search winners held on fresh hidden cases when run again"


def _everything(rows: Sequence[Row]) -> str:
    known = sum(row["cost_known"] for row in rows)
    open_calls = sum(row["cost_unknown"] for row in rows if row["language_model"])
    seconds = wording.duration(sum(row["seconds"] for row in rows))
    unknown = f", and {open_calls} calls at an unknown price" if open_calls else ""
    return f"{wording.money(known)}{unknown}; {seconds} of wall time"
