# SPDX-License-Identifier: Apache-2.0
"""What is left of a configuration, and what it may take: attempts, tokens, money, wall time.

An attempt is priced by the median of what earlier cells of this machine took for one, of the cells
nearest to the new one: the same method, model, backend and timing; else other methods; else, for
tokens and money, the same model on any backend, and for time, the same backend with any model.
Where there is none, stated defaults stand in for tokens and time; money is then unknown. What was
unknown then is unknown now. Figures are charged ones: answers from recordings cost nothing anew.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import cell_state, cells, matrix, registry
from kernelcoder.budget import caps_of
from kernelcoder.errors import Error
from kernelcoder.ledger import read
from kernelcoder.matrix import Cell
from kernelcoder.records import TIMED_MODES

FREE = ("recipe", "embedded", "replay", "sim")  # providers whose replies cost nothing anywhere
NEWEST = 12  # earlier cells that are read for one answer; a large folder takes no longer
PROMPT_TOKENS = 3000  # of one attempt of a language model nobody has run here yet
REPLY_SECONDS = 20.0  # of one such reply
JUDGE_SECONDS = 4.0  # compiling, checking and a quick timing of one kernel
DEFAULTS = (
    f"default: {PROMPT_TOKENS} tokens of prompt and MAX_TOKENS of reply, {REPLY_SECONDS:g} s for "
    f"a reply, {JUDGE_SECONDS:g} s for a verdict, and for each of VERIFY_FINALISTS kernels "
    "VERIFY_RETIME_SECONDS; never measured here"
)
_SAME = (
    "VERIFY_TIMING",
    "VERIFY_FINALISTS",
    "VERIFY_RETIME_SECONDS",
    "VERIFY_RETIME_BLOCKS",
    "VERIFY_MEASURE_COMPILE",
)


@dataclass(frozen=True, slots=True)
class Earlier:
    """One cell that ran here: what it is, and what an attempt of it took (None: unknown)."""

    method: str
    model: str
    backend: str
    timing: tuple[Any, ...]
    attempts: int
    tokens: float | None
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Figure:
    """An expected total with the range over the ``n`` earlier cells it comes from; ``low`` and
    ``high`` are equal for defaults. None is unknown."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    basis: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """One cell. ``attempts`` are the most that are left (stopping rules may end it sooner);
    ``reason`` is set where this machine cannot run it; ``capped`` says which cap decides."""

    cell: str
    state: str
    attempts: int
    tokens: Figure
    usd: Figure
    seconds: Figure
    usd_cap: float | None
    capped: tuple[str, ...] = ()
    reason: str = ""


def estimate(cell: Cell, earlier: Sequence[Earlier]) -> Estimate:
    """What finishing a cell may take."""
    state = cell_state.state(cell)
    attempts, tasks = left(cell)
    caps = caps_of(cell.values)
    minutes = int(cell.values["BUDGET_MINUTES"])
    limits = {"tokens": caps.tokens, "usd": caps.usd, "seconds": minutes * 60.0 or None}
    found = {name: _figure(name, cell, attempts, tasks, earlier) for name in limits}
    capped = []
    for name, limit in limits.items():
        value = found[name].value
        if limit is not None and value is not None and value > limit:
            found[name] = _within(found[name], float(limit))
            capped.append(name)
    return Estimate(
        cell.id,
        str(state),
        attempts,
        found["tokens"],
        found["usd"],
        found["seconds"],
        caps.usd,
        tuple(capped),
        state.reason if state.kind == "blocked" else "",
    )


def _within(figure: Figure, limit: float) -> Figure:
    low, high = (None if one is None else min(one, limit) for one in (figure.low, figure.high))
    return Figure(limit, low, high, figure.n, figure.basis)


def left(cell: Cell) -> tuple[int, int]:
    """Attempts that are left at most, and tasks that are not finished."""
    path = matrix.folder(cell) / "ledger.jsonl"
    finished = cell_state.finished_tasks(path, cell.values)
    asked: dict[str, int] = {}
    for event in read(path) if path.is_file() else ():
        if event.kind == "ask":
            asked[str(event.task)] = asked.get(str(event.task), 0) + 1
    open_tasks = [name for name in matrix.tasks(cell) if name not in finished]
    most = matrix.most_attempts(cell)
    return sum(max(0, most - asked.get(name, 0)) for name in open_tasks), len(open_tasks)


def _figure(name: str, cell: Cell, attempts: int, tasks: int, earlier: Sequence[Earlier]) -> Figure:
    if not attempts and not tasks:
        return Figure(0.0, 0.0, 0.0, 0, "finished")
    for basis, near in _levels(name, cell, earlier):
        if not near:
            continue
        each = [getattr(one, name) for one in near]
        known = [value for value in each if value is not None]
        if not known:
            return Figure(None, None, None, len(near), f"unknown in {basis}")
        middle, low, high = statistics.median(known), min(known), max(known)
        scaled = [one * attempts for one in (middle, low, high)]
        return Figure(scaled[0], scaled[1], scaled[2], len(known), basis)
    value = _default(name, cell, attempts, tasks)
    return Figure(value, value, value, 0, "default" if value is not None else "unknown")


def _levels(name: str, cell: Cell, earlier: Sequence[Earlier]) -> list[tuple[str, list[Earlier]]]:
    """Earlier cells, nearest first, each group with its name."""
    model, timing = registry.model_id(cell.model, cell.values), timing_of(cell.values)
    timed = [one for one in earlier if one.timing == timing and one.backend == cell.backend]
    near = [one for one in timed if one.model == model]
    groups = [
        ("this method, model and backend", [one for one in near if one.method == cell.method]),
        ("this model and backend", near),
    ]
    if name == "seconds":
        return [*groups, ("this backend", timed)]
    return [*groups, ("this model", [one for one in earlier if one.model == model])]


def _default(name: str, cell: Cell, attempts: int, tasks: int) -> float | None:
    speaks = cells.language_model(cell)
    if name == "tokens":
        each = PROMPT_TOKENS + int(cell.values["MAX_TOKENS"]) if speaks else 0
        return float(attempts * each)
    if name == "usd":
        return 0.0 if free(cell) else None
    mode = registry.module("BACKEND", cell.backend).probe().mode
    timed = cell.values["VERIFY_TIMING"] and mode in TIMED_MODES
    each_s = JUDGE_SECONDS + (REPLY_SECONDS if speaks else 0.0)
    most = min(int(cell.values["VERIFY_FINALISTS"]), matrix.most_attempts(cell))
    finalists = most if timed else 0
    final = finalists * int(cell.values["VERIFY_RETIME_SECONDS"])
    return attempts * each_s + tasks * final


def free(cell: Cell) -> bool:
    """Whether no reply of a cell costs money: its model, and every arm of its router."""
    from kernelcoder import arms

    models = {cell.model, *(arm.model for arm in arms.arms(cell.values))}
    names = (registry.model_id(one, cell.values).partition(":")[0] for one in models)
    return all(name in FREE for name in names)


def timing_of(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The settings that decide how long verdicts take."""
    return tuple(values.get(name) for name in _SAME)


def history(wanted: Sequence[Cell], root: Path) -> list[Earlier]:
    """The newest cells of a machine's results folder that say something on the wanted ones.
    Unreadable ones are passed over: an estimate needs no proof."""
    models = {registry.model_id(cell.model, cell.values) for cell in wanted}
    backends = {cell.backend for cell in wanted}
    found: list[tuple[float, Path, dict[str, Any]]] = []
    for path in (*root.glob("*/cell.json"), *root.parent.glob(f"{root.name}+*/*/cell.json")):
        try:
            meta = cells.read_meta(path.parent) or {}
        except (Error, OSError):
            continue
        axes = meta.get("axes", {})
        if axes.get("backend") in backends or _model_id(meta) in models:
            found.append((float(meta.get("created", 0.0)), path.parent, meta))
    found.sort(key=lambda one: -one[0])
    out: list[Earlier] = []
    for _, folder, meta in found:
        if len(out) == NEWEST:
            break
        if (one := _earlier(folder, meta)) is not None:
            out.append(one)
    return out


def _model_id(meta: Mapping[str, Any]) -> str:
    member = str(meta.get("axes", {}).get("model", ""))
    return str(meta.get("values", {}).get(f"MODEL_{member.upper()}_ID", member))


def _earlier(folder: Path, meta: Mapping[str, Any]) -> Earlier | None:
    """What one cell took, None if it has no attempt or cannot be read."""
    from kernelcoder.report.rows import cell_row
    from kernelcoder.report.source import load

    try:
        run = load(folder)
        row = cell_row(run)
    except (Error, OSError, KeyError, TypeError, ValueError):
        return None
    tries = sum(len(task.tries) for task in (*run.tasks, *run.lessons))
    if not tries:
        return None
    tokens, usd = row["tokens"], row["cost"]
    axes = meta["axes"]
    return Earlier(
        str(axes.get("method")),
        run.model_id,
        str(axes.get("backend")),
        timing_of(run.values),
        tries,
        None if tokens is None else tokens / tries,
        None if usd is None else usd / tries,
        run.seconds / tries,
    )
