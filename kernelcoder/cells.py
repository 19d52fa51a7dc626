# SPDX-License-Identifier: Apache-2.0
"""A cell's folder: ``cell.json`` says what the ledger beside it means.

It is written once, when the cell is created, with the secret the holdouts are drawn from (so the
file is readable by its owner only). What may change later are the stopping rules: raising them
continues the cell. Any other difference would make two experiments one, and is an error.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import __version__, paths
from kernelcoder.errors import BROKEN, Error, Problem
from kernelcoder.ledger import Held, holder, write_atomic
from kernelcoder.matrix import Cell

CAPS = ("BUDGET_TOKENS_THOUSANDS", "BUDGET_CENTS", "BUDGET_MINUTES")


def folder(cell_id: str) -> Path:
    """Where a cell lies."""
    return paths.results() / cell_id


def commit() -> tuple[str, bool]:
    """The checkout's commit and whether files differ from it; ``("", True)`` outside of git."""
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


def prepare(cell: Cell, verify_version: str) -> dict[str, Any]:
    """The cell's metadata, created if need be; an ``Error`` names every symbol that differs."""
    cell_dir = folder(cell.id)
    meta = read_meta(cell_dir)
    if meta is None:
        stamp = commit()
        meta = {
            "cell": cell.id,
            "axes": {axis.lower(): member for axis, member in cell.members.items()},
            "seed": cell.seed,
            "values": dict(cell.values),
            "version": __version__,
            "verify_version": verify_version,
            "commit": stamp[0],
            "dirty": stamp[1],
            "machine": paths.machine(),
            "created": round(time.time(), 3),
            "holdout_key": secrets.token_hex(32),
        }
        _write(cell_dir, meta)
        return meta
    problems = changed(meta["values"], cell.values)
    if meta["verify_version"] != verify_version:
        what = f"recorded with verifier {meta['verify_version']}, now {verify_version}"
        problems.append(Problem("verifier", what))
    refuse(cell, problems)
    return meta


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
        if name in now and then[name] != now[name] and not _stops(name)
    ]


def _stops(name: str) -> bool:
    return name.startswith("RUN_") or name == "BUDGET" or name in CAPS


def raised(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Stopping rules that now allow more than when the cell was last run (0 is no cap)."""
    found = {}
    for name in ("BUDGET", *CAPS):
        old, new = then.get(name), now.get(name)
        if new is None or old is None or new == old:
            continue
        if (name == "BUDGET" and new > old) or (name in CAPS and old and (not new or new > old)):
            found[name] = new
    return found


def allow(cell_dir: Path, meta: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Write raised stopping rules into cell.json."""
    meta["values"] = {**meta["values"], **more}
    _write(cell_dir, meta)


def set_aside(cell_id: str) -> Path | None:
    """Move a cell's folder to ``aside/``; None if there is none. Raises ``Held`` if it is run."""
    cell_dir = folder(cell_id)
    if not cell_dir.exists():
        return None
    if (pid := holder(cell_dir)) is not None:
        raise Held(cell_dir, pid)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = cell_dir.parent / "aside" / f"{cell_id}.{stamp}.{secrets.token_hex(2)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    cell_dir.rename(target)
    return target
