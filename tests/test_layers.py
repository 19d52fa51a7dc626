# SPDX-License-Identifier: Apache-2.0
"""Imports point one way. A wrong arrow is named with its file and line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BASE = {"errors", "records", "task", "history", "paths"}
CONFIG = {"config", "config_lines", "config_files"}
LEDGER = {"ledger", "states", "contents"}
# Rules that several rooms keep to, of the standard library alone.
LOW = {"answers", "wording", "choosing", "corruption"}
CORE = BASE | LOW | CONFIG | LEDGER | {"budget", "stop_rules", "registry", "recordings"}
MATRIX = {"matrix", "cell_state", "cells", "standing"}
MEMBERS = {"models", "backends", "verify", "prompts", "memory", "steps", "io"}

# room -> rooms it may import besides itself, lowest first
ALLOWED: dict[str, set[str]] = {
    **{room: BASE for room in BASE},
    **{room: BASE | CONFIG for room in CONFIG},
    **{room: BASE | LEDGER | {"wording"} for room in LEDGER},
    **{room: set() for room in LOW},
    "budget": BASE,
    "stop_rules": BASE | {"budget"},
    "recordings": BASE | LEDGER,
    "registry": BASE | CONFIG,
    "routing": BASE,
    "arms": BASE | CONFIG | {"registry", "routing"},
    "cell_state": CORE | {"matrix"},
    "matrix": CORE | {"backends", "models", "arms"},
    "manifest": BASE,
    "cells": CORE | {"matrix", "arms", "manifest"},
    "standing": CORE | {"matrix", "cells"},
    "estimating": CORE | MATRIX | {"arms", "report"},
    "derivations": BASE | LOW | LEDGER | {"budget", "prompts"},
    "recounting": BASE | LEDGER | {"budget", "derivations", "report"},
    "auditing": BASE | LEDGER | {"derivations", "recounting"},
    "slurm": BASE,
    "reusing": CORE | MATRIX | {"auditing", "manifest"},
    "models": BASE | {"recordings", "simulation"},
    "verify": BASE | {"wording"},
    "backends": BASE | {"verify", "simulation"},
    "simulation": BASE,
    "mutation": BASE | {"verify"},
    "prompts": BASE,
    "embedding": set(),
    "io": BASE,
    "steps": BASE | {"answers", "prompts", "io", "embedding"},
    "memory": BASE | {"answers", "io", "embedding"},
    "methods": {"records", "history"},
    "benchmarks": {"task", "errors", "simulation"},
    "engine": CORE | MATRIX | MEMBERS | {"methods", "routing"},
    "progress": BASE | {"wording"},
    "runner": CORE | MATRIX | MEMBERS | {"methods", "engine", "progress", "benchmarks", "arms"},
    "report": CORE | MATRIX | {"routing"},
    "redteam": BASE | {"verify", "backends", "benchmarks"},
}


def rooms() -> dict[Path, str]:
    """Every source file and the room it stands in."""
    found = {}
    for path in sorted((ROOT / "kernelcoder").rglob("*.py")):
        parts = path.relative_to(ROOT / "kernelcoder").parts
        found[path] = parts[0] if len(parts) > 1 else path.stem
    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        found[path] = "benchmarks"
    return {
        path: room
        for path, room in found.items()
        if room not in ("commands", "__main__", "__init__")
    }


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, room) of each of our own modules a file imports, at top level or inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            head, _, rest = name.partition(".")
            if head == "benchmarks":
                found.append((node.lineno, "benchmarks"))
            elif head == "kernelcoder" and rest:
                found.append((node.lineno, rest.split(".")[0]))
    return found


def wrong_arrows(path: Path, room: str) -> list[str]:
    """Imports of a file that its room may not make."""
    allowed = ALLOWED[room] | {room, "__version__"}
    return [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for line, target in imported(path)
        if target not in allowed
    ]


@pytest.mark.parametrize(
    ("path", "room"), rooms().items(), ids=lambda value: getattr(value, "stem", value)
)
def test_imports_point_one_way(path: Path, room: str) -> None:
    assert room in ALLOWED, f"{path.name}: give the room {room!r} a place in ALLOWED"
    assert wrong_arrows(path, room) == []


def test_a_wrong_arrow_is_seen(tmp_path: Path) -> None:
    bad = ROOT / "kernelcoder" / "methods" / "base.py"
    assert imported(bad), "the scanner sees imports at all"
    probe = tmp_path / "x.py"
    probe.write_text("def f():\n    from kernelcoder.verify import service\n")
    assert imported(probe) == [(2, "verify")]
    assert "verify" not in ALLOWED["methods"]


HEAVY = {"torch", "litellm", "wandb", "openai", "xllamacpp"}


@pytest.mark.parametrize(
    "room",
    [
        "config",
        "matrix",
        "registry",
        "ledger",
        "records",
        "errors",
        "task",
        "history",
        "methods",
        "report",
    ],
)
def test_light_rooms_never_import_heavy_packages_at_the_top(room: str) -> None:
    for path, owner in rooms().items():
        if owner != room:
            continue
        for node in ast.parse(path.read_text()).body:
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.split(".")[0] for name in names} & HEAVY, path
