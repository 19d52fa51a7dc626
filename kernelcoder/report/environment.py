# SPDX-License-Identifier: Apache-2.0
"""What was run, where, and how to run it again: configuration, machine, commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kernelcoder.report import claims
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
        *_hardware(meta),
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


def _hardware(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the cell was begun on, from its manifest; nothing for cells of old without one."""
    found = meta.get("manifest")
    if not found:
        return []
    host, soft, now = found["host"], found["software"], found["now"]
    gpus = ", ".join(str(one["name"]) for one in host["gpus"]) or "no GPU"
    compilers = ", ".join(str(text) for text in soft["compilers"].values()) or "no compiler"
    return [
        ("hardware", f"{host['processor']}, {host['cores']} cores, {gpus}; {host['system']}"),
        ("load at its beginning", ", ".join(f"{one:g}" for one in now["load"] or ()) or "unknown"),
        ("software", f"Python {soft['python']}, {compilers}"),
        ("packages", f"sha256 {soft['all_packages'][:16]} over all that are installed"),
        ("configuration", f"sha256 {found['config'][:16]}"),
    ]


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
