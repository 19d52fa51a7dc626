# SPDX-License-Identifier: Apache-2.0
"""How far a cell is, as the matrix tells it from the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelcoder import __main__ as lab
from kernelcoder import cell_state, config, matrix, paths, registry
from kernelcoder.backends import Availability
from kernelcoder.ledger import Ledger

Make = Callable[..., config.Settings]
NO_CAPS = {"tokens": None, "usd": None}


def cell_of(settings: Make, *assignments: str) -> matrix.Cell:
    """The one cell of the defaults with two tasks."""
    return matrix.cells(settings("CONFIG_SUITE_CORE_TASKS=relu,gelu", *assignments))[0]


def write(cell: matrix.Cell, *events: tuple[str | None, dict[str, Any]]) -> Path:
    """A ledger of control events; returns its file."""
    folder = paths.results() / cell.id
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder / "ledger.jsonl") as ledger:
        for task, data in events:
            ledger.append("control", data, task)
    return folder / "ledger.jsonl"


def whole(task: str, why: str = "stop", caps: dict[str, Any] | None = None) -> tuple[Any, ...]:
    """Begin and end of a task."""
    begin = {"op": "task_begin", "digest": "d", "baseline": "eager"}
    return (task, begin), (task, {"op": "task_end", "why": why, "caps": caps or NO_CAPS})


def opened(cell: matrix.Cell) -> tuple[None, dict[str, Any]]:
    """The first event of a ledger."""
    return None, {"op": "open", "cell": cell.id, "guarantee": "G1"}


def test_a_cell_without_a_ledger_is_to_do(settings: Make) -> None:
    found = cell_state.state(cell_of(settings))
    assert (found.kind, found.finished, found.total, str(found)) == ("todo", 0, 2, "to do")


def test_tasks_that_ended_are_counted_and_a_torn_line_is_not(settings: Make) -> None:
    cell = cell_of(settings)
    file = write(cell, opened(cell), *whole("core/relu"))
    assert str(cell_state.state(cell)) == "1 of 2 tasks"
    with file.open("ab") as torn:
        torn.write(b'{"seq":3,"time":1.0,"kind":"control","task":"core/gelu","ordinal":null,')
    assert str(cell_state.state(cell)) == "1 of 2 tasks"


@pytest.fixture
def no_metal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Metal backend cannot run, even in an emulator."""
    nothing = Availability(None, "the Metal backend needs what is not here")
    monkeypatch.setattr("kernelcoder.backends.metal.probe", lambda: nothing)


def test_a_cell_with_every_task_ended_is_done_even_where_it_could_not_run(
    settings: Make, no_metal: None
) -> None:
    cell = cell_of(settings, "CONFIG_BACKEND_METAL=y", "CONFIG_BACKEND_CPU=n")
    assert str(cell_state.state(cell)).startswith("cannot run here: the Metal backend needs")
    write(cell, opened(cell), *whole("core/relu"), *whole("core/gelu"), (None, {"op": "close"}))
    assert str(cell_state.state(cell)) == "done"


def test_a_raised_budget_or_cap_makes_a_finished_task_unfinished() -> None:
    line = '{"seq":1,"time":1.5,"kind":"%s","task":"core/relu","ordinal":%s,"data":%s,"prev":""}\n'

    def finished(why: str, caps: dict[str, Any], **values: int) -> int:
        end = json.dumps({"op": "task_end", "why": why, "caps": caps}, separators=(",", ":"))
        text = line % ("ask", 0, "{}") + line % ("ask", 1, "{}") + line % ("control", "null", end)
        file = paths.output() / "l.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        base = {"BUDGET": 2, "BUDGET_TOKENS_THOUSANDS": 0, "BUDGET_CENTS": 0}
        return len(cell_state.finished_tasks(file, {**base, **values}))

    assert finished("budget", NO_CAPS) == 1
    assert finished("budget", NO_CAPS, BUDGET=3) == 0
    assert finished("stop", NO_CAPS, BUDGET=3) == 1, "the method had nothing more to propose"
    capped = {"tokens": 5000, "usd": None}
    assert finished("the token cap", capped, BUDGET_TOKENS_THOUSANDS=5) == 1
    assert finished("the token cap", capped, BUDGET_TOKENS_THOUSANDS=6) == 0
    assert finished("the token cap", capped) == 0, "0 is no cap"


def test_the_matrix_command_tells_states_and_exits_with_3_if_something_cannot_run(
    settings: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_metal: None
) -> None:
    file = tmp_path / "x.config"
    file.write_text('CONFIG_SUITE_CORE_TASKS="relu,gelu"\nCONFIG_BUDGET=3\n')
    assert lab.main(["matrix", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert "<=2 " in out, "base asks once per task, whatever the budget"
    assert "1 to run" in out
    file.write_text(file.read_text() + "CONFIG_BACKEND_METAL=y\n")
    assert lab.main(["matrix", "--config", str(file), "--json"]) == 3
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["state"] for record in records] == ["todo", "blocked"]
    assert records[0]["attempts_at_most"] == 2
    assert not paths.output().exists(), "a dry run creates nothing"
    assert "macOS" in records[1]["reason"] or "Metal" in records[1]["reason"]


def test_bench_and_matrix_plan_by_the_same_number(settings: Make) -> None:
    cell = cell_of(settings, "CONFIG_BUDGET=3")
    assert matrix.most_attempts(cell) == 1
    assert not hasattr(registry.module("METHOD", "base"), "LIMIT")
    (other,) = matrix.cells(
        settings("CONFIG_METHOD_BASE=n", "CONFIG_METHOD_BEST_OF_N=y", "CONFIG_BUDGET=3")
    )
    assert matrix.most_attempts(other) == 3
