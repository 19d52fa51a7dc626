# SPDX-License-Identifier: Apache-2.0
"""A cell's folder: ``cell.json`` says what the ledger beside it means.

It is written once, when the cell is created, with the secret the holdouts are drawn from (so the
file is readable by its owner only). What may change later are the stopping rules: raising them
continues the cell. Any other difference would make two experiments one, and is an error.
"""

from __future__ import annotations

import functools
import json
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import __version__, arms, manifest, paths, registry
from kernelcoder.errors import BROKEN, Error, Problem
from kernelcoder.ledger import Held, holder, write_atomic
from kernelcoder.matrix import Cell, folder, stops_only
from kernelcoder.stop_rules import looser


@dataclass(frozen=True, slots=True)
class Maker:
    """What a cell is made by and of, besides its settings: the verifier's version, the digest of
    the prompt templates, and the ids of all its tasks; ``evaluate`` are those that nothing is
    learnt from, where the suite is split; ``secret`` is what the hidden cases are drawn from, ""
    for one of the cell's own."""

    verify_version: str
    prompts: str
    tasks: tuple[str, ...]
    evaluate: tuple[str, ...] = ()
    secret: str = ""


@functools.cache
def commit() -> tuple[str, bool]:
    """The checkout's commit and whether files differ from it, asked once: the code that runs is
    what was there when it was loaded. ``("", True)`` outside of git."""
    asked = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain"])
    found = []
    for command in asked:
        try:
            done = subprocess.run(
                command, cwd=paths.ROOT, capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return "", True
        found.append(done.stdout.strip())
    return found[0], bool(found[1])


def read_meta(cell_dir: Path) -> dict[str, Any] | None:
    """Content of cell.json, None if there is none."""
    try:
        meta: dict[str, Any] = json.loads((cell_dir / "cell.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as problem:
        raise Error(f"cell.json cannot be read: {problem}", cell_dir.name, code=BROKEN) from problem
    return meta


def language_model(cell: Cell) -> bool:
    """Whether a language model proposes the kernels (of a router's arms: any of them); of replies
    played back, whether one did."""
    return any(
        _speaks(one, cell) for one in {cell.model, *(a.model for a in arms.arms(cell.values))}
    )


def _speaks(model: str, cell: Cell) -> bool:
    values, name = dict(cell.values), f"MODEL_{model.upper()}"
    if registry.model_id(model, values).startswith("replay:"):
        values[f"{name}_ID"] = str(values.get(f"{name}_OF", values[f"{name}_ID"]))
    return bool(registry.module("MODEL", model, values).language_model)


def prepare(cell: Cell, maker: Maker) -> dict[str, Any]:
    """The cell's metadata, created if need be; an ``Error`` names everything that differs."""
    cell_dir = folder(cell)
    meta = read_meta(cell_dir)
    if meta is None:
        stamp = commit()
        meta = {
            "cell": cell.id,
            "axes": {axis.lower(): member for axis, member in cell.members.items()},
            "seed": cell.seed,
            "values": dict(cell.values),
            "tasks": list(maker.tasks),
            **({"evaluate": list(maker.evaluate)} if maker.evaluate else {}),
            "language_model": language_model(cell),
            "version": __version__,
            "verify_version": maker.verify_version,
            "prompts": maker.prompts,
            "commit": stamp[0],
            "dirty": stamp[1],
            "machine": cell_dir.parent.name,
            "created": round(time.time(), 3),
            "manifest": manifest.manifest(cell.values),
            "holdout_key": maker.secret or secrets.token_hex(32),
        }
        _write(cell_dir, meta)
        return meta
    refuse(cell, differing(meta, cell, maker))
    return meta


def differing(meta: Mapping[str, Any], cell: Cell, maker: Maker) -> list[Problem]:
    """What a cell was recorded with and would not be run with now. The prompts may differ: they
    are compared request by request, and only where a search goes on."""
    problems = changed(meta.get("values", {}), cell.values)
    then = meta.get("verify_version", maker.verify_version)
    if then != maker.verify_version:
        what = f"recorded with verifier {then}, now {maker.verify_version}"
        problems.append(Problem("verifier", what))
    if "evaluate" in meta and meta["evaluate"] != list(maker.evaluate):
        problems.append(Problem("splits.toml", "other tasks are held out than when it began"))
    planned = set(meta.get("tasks", maker.tasks))
    for name in sorted(planned - set(maker.tasks)):
        problems.append(Problem(name, "was a task of the cell and is none any more"))
    for name in sorted(set(maker.tasks) - planned):
        problems.append(Problem(name, "is a task that the cell did not have"))
    return problems


def refuse(cell: Cell, problems: Sequence[Problem]) -> None:
    """Raise an ``Error`` if there are problems."""
    if problems:
        fix = "make FRESH=1 bench sets it aside: nothing is deleted, no recorded call is repeated"
        what = "the cell was recorded under another meaning"
        raise Error(what, cell.id, fix, problems, code=BROKEN)


def _write(cell_dir: Path, meta: Mapping[str, Any]) -> None:
    write_atomic(cell_dir / "cell.json", (json.dumps(meta, indent=1) + "\n").encode(), mode=0o600)


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Symbols whose value differs, stopping rules and RUN_* aside. A symbol only one side knows
    stands at its default on the other (or the id would differ)."""
    return [
        Problem(name, f"recorded with {then[name]!r}, now {now[name]!r}")
        for name in sorted(then)
        if name in now
        and then[name] != now[name]
        and not name.startswith("RUN_")
        and not _stops(name)
    ]


def _stops(name: str) -> bool:
    """Within one id BUDGET can only differ where it is but a stopping rule."""
    return stops_only(name, anytime=True)


def raised(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Stopping rules that now allow more than when the cell was last run (0 is no cap)."""
    found = {}
    for name in filter(_stops, now):
        old, new = then.get(name), now[name]
        if old is None or new == old:
            continue
        if new > old if name == "BUDGET" else looser(name, old, new):
            found[name] = new
    return found


def allow(cell_dir: Path, meta: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Write raised stopping rules into cell.json."""
    meta["values"] = {**meta["values"], **more}
    _write(cell_dir, meta)


def set_aside(cell: Cell) -> Path | None:
    """Move a cell's folder to ``aside/``; None if there is none. Raises ``Held`` if it is run."""
    cell_dir = folder(cell)
    if not cell_dir.exists():
        return None
    if (pid := holder(cell_dir)) is not None:
        raise Held(cell_dir, pid)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = cell_dir.parent / "aside" / f"{cell.id}.{stamp}.{secrets.token_hex(2)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    cell_dir.rename(target)
    return target
