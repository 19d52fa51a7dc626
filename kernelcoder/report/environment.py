# SPDX-License-Identifier: Apache-2.0
"""What was run, where, and how to run it again: configuration, machine, minimum reporting block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kernelcoder import wording
from kernelcoder.records import sha256
from kernelcoder.report import claims
from kernelcoder.report.rows import Row
from kernelcoder.report.source import CellRun

NOT_A_SETTING = ("RUN_",)


def differing(runs: Sequence[CellRun]) -> list[tuple[str, list[str]]]:
    """Settings whose values differ between the cells, RUN_* left out: (symbol, value per cell).
    A symbol out of scope in a cell shows as "-"."""
    names = sorted({name for run in runs for name in run.values})
    out = []
    for name in names:
        values = [show(run.values.get(name)) for run in runs]
        if len(set(values)) > 1 and not name.startswith(NOT_A_SETTING):
            out.append((name, values))
    return out


def show(value: Any) -> str:
    """A configuration value as .config spells it, without quotes; "-" for none."""
    if value is None:
        return "-"
    return ("n", "y")[value] if isinstance(value, bool) else str(value)


def day(time: float) -> str:
    """UTC date and minute of a Unix time."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC") if time else "-"


def facts(run: CellRun) -> list[tuple[str, str]]:
    """Machine, versions, commit and times of one cell."""
    meta = run.meta
    versions: dict[str, str] = {}
    for task in run.tasks:
        for attempt in task.tries:
            if attempt.verdict is not None:
                versions.update({str(k): str(v) for k, v in attempt.verdict.versions.items()})
    served = sorted({t.served for task in run.tasks for t in task.tries if t.served})
    commit = str(meta.get("commit") or "unknown") + (
        " (with local changes)" if meta.get("dirty") else ""
    )
    return [
        ("cell", run.id),
        ("evidence", f"ledger of {run.events} events, head {run.head}"),
        ("machine", run.machine),
        ("KernelCoder", f"{meta.get('version')}, verifier {meta.get('verify_version')}"),
        ("commit", commit),
        ("ran", f"{day(run.first)} to {day(run.last)}"),
        ("reproducibility", run.guarantee or "not recorded"),
        (
            "model",
            claims.proposer({"language_model": run.language_model, "model_id": run.model_id}),
        ),
        ("served as", ", ".join(served) or "not recorded"),
        ("tools", ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) or "not recorded"),
    ]


def minimum_block(runs: Sequence[CellRun], rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The minimum reporting block: what a reader needs to judge the numbers."""
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
        ("configurations", ", ".join(settings)),
        ("models", ", ".join(sorted({str(row["model_id"]) for row in rows}))),
        ("replicates (seeds)", f"{len(seeds)}: {', '.join(seeds)}"),
        ("search window B", ", ".join(map(str, windows)) or "-"),
        ("workers", f"{', '.join(workers)} (0: number of cores); never changes a proposal"),
        ("prices", "as the servers reported them at the time of the call"),
        ("matched budget", "attempts; tokens, money and seconds stand beside it"),
        ("hardware", ", ".join(sorted({str(row["machine"]) for row in rows}))),
        ("noise floor", "no device floor is subtracted; each speedup carries its interval"),
        ("score", "geometric mean over all tasks, failures at 1.0; curves: max(1, speedup so far)"),
        ("primary contrast", "none declared: comparisons on this page are exploratory"),
        ("quarantined", ", ".join(f"{n} {what}" for what, n in sorted(gone.items()))),
        ("cost of everything", _everything(rows)),
    ]  # fmt: skip


def _everything(rows: Sequence[Row]) -> str:
    known = sum(row["cost_known"] for row in rows)
    open_calls = sum(row["cost_unknown"] for row in rows if row["language_model"])
    seconds = wording.duration(sum(row["seconds"] for row in rows))
    unknown = f", and {open_calls} calls at an unknown price" if open_calls else ""
    return f"{wording.money(known)}{unknown}; {seconds} of wall time"


def reproduce(runs: Sequence[CellRun], origin: str) -> list[str]:
    """Commands that make these results again. ``origin`` names the defconfig, "" if none has
    exactly these cells."""
    commits = sorted({str(run.meta.get("commit") or "") for run in runs} - {""})
    out = [f"git checkout {commits[0]}"] if len(commits) == 1 else []
    if origin:
        return [*out, f"make defconfig-{origin} bench report"]
    return [
        *out,
        "# put the settings below in .config, then",
        *(f"python -m kernelcoder bench --only '{run.id}'" for run in runs),
        "make report",
    ]
