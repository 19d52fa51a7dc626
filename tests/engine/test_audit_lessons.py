# SPDX-License-Identifier: Apache-2.0
"""What an audit derives again of steps, lessons, given sources, and of every kind of report row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, POOL
from engine.test_audit import forged
from engine.test_learning import Cell, memory

from kernelcoder.auditing import audit
from kernelcoder.ledger import Ledger
from kernelcoder.report import rows, source


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """Two tasks with a memory that asks, tries a kernel of its own, and hands it on as a seed."""
    ledger = Cell(tmp_path, memory=memory(asks=2, seeds=True)).run(2)
    with Ledger(ledger.path) as again:
        again.append("feedback", {"score": 0.5, "note": "neat"}, POOL[0].id, 0)
        again.append("control", {"op": "close"})
    meta = {"cell": CELL, "values": {"VERIFY_TIMING": True}, "tasks": [one.id for one in POOL[:2]]}
    (ledger.path.parent / "cell.json").write_text(json.dumps(meta))
    return ledger.path.parent


def test_a_cell_that_learnt_is_sound(cell: Path) -> None:
    found = audit(cell)
    assert found.problems == ()
    lines = (cell / "ledger.jsonl").read_text()
    assert all(f'"kind":"{kind}"' in lines for kind in ("step", "learn", "feedback"))
    assert '"finish":"given"' in lines


def _first(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Set a field of the first event that has it."""
    done: list[bool] = []

    def change(data: dict[str, Any]) -> None:
        if key in data and not done:
            data[key] = value
            done.append(True)

    return change


def _proposal(data: dict[str, Any]) -> None:
    if data["proposal"]["given"]:
        data["proposal"]["given"] = "0" * 64


def _evaluate(data: dict[str, Any]) -> None:
    if data["op"] == "task_begin":
        data["part"] = "evaluate"


def _spent(data: dict[str, Any]) -> None:
    data["cost"]["usage"]["output_tokens"] += 1


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("learn", _spent, "its cost is not that of its recorded steps"),
        ("learn", _first("after", "core/matmul"), "the task had not ended"),
        ("learn", _first("after", "core/silu"), "the task had not ended"),
        ("learn", lambda data: data.update(of="router"), "its cost is not that"),
        ("control", _evaluate, "the task is held out and teaches nothing"),
        ("ask", _proposal, "another source was tried than the one that was given"),
        ("call", lambda data: data.update(finish="stop"), "a model was asked for a source"),
        ("step", _first("seconds", 99.0), "its seconds are not those of its verdict"),
        ("step", _first("candidate", "0" * 64), "the variant's name is not the hash"),
    ],
)
def test_what_does_not_follow_is_named(
    cell: Path, kind: str, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    problems = forged(cell, kind, change).problems
    assert any(says in one for one in problems), problems


def test_a_lesson_is_told_once(cell: Path) -> None:
    def again(data: dict[str, Any]) -> None:
        data["after"] = "core/relu"

    assert any("for the second time" in one for one in forged(cell, "learn", again).problems)


@pytest.mark.parametrize(
    ("name", "field", "says"),
    [
        ("cell_row", "device_seconds", "the report's device_seconds is"),
        ("cell_row", "tokens_paid", "the report's tokens_paid is"),
        ("cell_row", "seconds", "the report's seconds is"),
        ("task_rows", "eager", "the report's eager is"),
        ("task_rows", "verified_attempts", "the report's verified_attempts is"),
        ("attempt_rows", "tokens", "the report's tokens is"),
        ("attempt_rows", "cases_ok", "the report's cases_ok is"),
    ],
)
def test_a_row_that_says_otherwise_is_named(
    cell: Path, monkeypatch: pytest.MonkeyPatch, name: str, field: str, says: str
) -> None:
    made = getattr(rows, name)

    def wrong(given: Any) -> Any:
        found = made(given)
        for row in found if isinstance(found, list) else [found]:
            row[field] = 41.5 if row[field] is None else row[field] + 1
        return found

    monkeypatch.setattr(rows, name, wrong)
    problems = audit(cell).problems
    assert problems
    assert all(says in one for one in problems)


def test_what_a_memory_tried_is_in_the_device_seconds(cell: Path) -> None:
    def slow(data: dict[str, Any]) -> None:
        if data["what"] == "verify":
            data["seconds"] = data["verdict"]["seconds"]["total"] = 2.5

    before = rows.cell_row(source.load(cell))["device_seconds"]
    assert forged(cell, "step", slow).problems == ()
    run = source.load(cell)
    assert run.learning_s == 5.0, "each of the two tasks had one kernel tried in its lesson"
    assert rows.cell_row(run)["device_seconds"] == pytest.approx(before + 5.0)
