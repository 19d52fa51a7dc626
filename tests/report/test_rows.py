# SPDX-License-Identifier: Apache-2.0
"""Rows equal an independent recomputation from the raw ledger lines, and never invent a number."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from report import synthetic

from kernelcoder import ledger
from kernelcoder.errors import Error
from kernelcoder.report import rows, source, stats


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def by_hand(folder: Path) -> dict[str, Any]:
    """The headline numbers from raw lines, with no code of the package."""
    events = lines(folder)
    tasks = sorted({e["task"] for e in events if e["data"].get("op") == "task_begin"})
    statuses = {
        (e["task"], e["ordinal"]): e["data"]["verdict"]["status"]
        for e in events
        if e["kind"] == "verdict"
    }
    speeds = {}
    for e in events:
        if e["kind"] == "select" and e["data"]["chosen"] is not None:
            final = next(f for f in e["data"]["finalists"] if f["ordinal"] == e["data"]["chosen"])
            assert statuses[e["task"], final["ordinal"]] == "verified"
            speeds[e["task"]] = final["report"]["speedup"]["eager"]["median"]
    logs = [math.log(speeds.get(task, 1.0)) for task in tasks]
    return {
        "n_tasks": len(tasks),
        "n_verified": len(speeds),
        "fast_1": sum(s > 1 for s in speeds.values()) / len(tasks),
        "geomean_all": math.exp(sum(logs) / len(logs)),
        "geomean_verified": math.exp(sum(map(math.log, speeds.values())) / len(speeds)),
        "attempts": sum(status != "infra_error" for status in statuses.values()),
        "quarantined": sum(status == "infra_error" for status in statuses.values()),
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return synthetic.tree(tmp_path_factory.mktemp("results"))


def test_the_synthetic_ledgers_tell_a_possible_story(folders: list[Path]) -> None:
    for folder in folders:
        ledger.check(ledger.read(folder / "ledger.jsonl"))
        assert len(ledger.read(folder / "ledger.jsonl")) > 50


def test_rows_equal_an_independent_computation(folders: list[Path]) -> None:
    for folder, row in zip(folders, rows.rows_of(folders), strict=True):
        assert tuple(row)[: len(rows.CELL_FIELDS)] == rows.CELL_FIELDS
        for name, value in by_hand(folder).items():
            assert row[name] == pytest.approx(value, abs=1e-9), name
        faster = stats.wilson(round(row["fast_1"] * row["n_tasks"]), row["n_tasks"])
        assert (row["fast_1_lo"], row["fast_1_hi"]) == faster
        share = stats.wilson(row["n_verified"], row["n_tasks"])
        assert (row["verified_lo"], row["verified_hi"]) == share
        for name in ("fast_1", "geomean_all", "geomean_verified"):
            assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
        json.dumps(row, allow_nan=False)


def test_funnel_and_statuses_add_up(folders: list[Path]) -> None:
    for row in rows.rows_of(folders):
        funnel = row["funnel"]
        steps = [funnel[s] for s in ("generated", "compiled", "smoke_passed", "verified")]
        assert steps == sorted(steps, reverse=True)
        assert funnel["generated"] == row["attempts"] == sum(row["statuses"].values())
        assert funnel["verified"] == row["statuses"]["verified"]


def test_unknown_is_none_and_replayed_calls_are_charged_but_not_paid(tmp_path: Path) -> None:
    known = synthetic.cell(tmp_path, synthetic.Spec(tokens=True, cost=0.002, rng_seed=8))
    unknown = synthetic.cell(tmp_path, synthetic.Spec("metr", tokens=True, rng_seed=9))
    first, second = rows.rows_of([known, unknown])
    assert first["cost"] == pytest.approx(0.002 * first["calls"])
    assert first["tokens"] == 1300 * first["calls"]
    assert first["calls"] == first["attempts"] + first["quarantined"]
    assert second["cost"] is None
    assert second["cost_unknown"] == second["calls"]
    assert first["calls_paid"] == first["calls"]


def test_without_timing_speeds_are_unknown_but_correctness_is_not(tmp_path: Path) -> None:
    row = rows.rows_of([synthetic.cell(tmp_path, synthetic.Spec(timed=False))])[0]
    assert row["n_verified"] > 0
    assert row["fast_1"] is row["geomean_all"] is row["geomean_verified"] is None
    assert row["fast_p"]["0"] == row["n_verified"] / row["n_tasks"]
    assert row["fast_p"]["1"] is None


def test_nothing_verified_is_one_over_all_tasks_and_no_mean_over_none(tmp_path: Path) -> None:
    row = rows.rows_of([synthetic.cell(tmp_path, synthetic.Spec(rate=0.0))])[0]
    assert (row["n_verified"], row["geomean_all"], row["geomean_verified"]) == (0, 1.0, None)
    assert row["fast_1"] == 0.0


def test_an_unfinished_cell_is_flagged_and_its_open_task_claims_nothing(tmp_path: Path) -> None:
    spec = synthetic.Spec(rate=1.0, finished=False, tasks=synthetic.TASKS[:3])
    run = source.load(synthetic.cell(tmp_path, spec))
    assert not run.finished
    assert [task.outcome for task in run.tasks] == ["verified", "verified", "in progress"]
    assert rows.cell_row(run)["n_verified"] == 2


def test_search_timing_is_never_the_result(tmp_path: Path) -> None:
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec(rate=1.0)))
    assert sum(task.chosen is not None for task in run.tasks) > 10
    for task, row in zip(run.tasks, rows.task_rows([run]), strict=True):
        if task.chosen is None:
            assert row["eager"] is None
            continue
        final = next(f for f in task.finals if f.ordinal == task.chosen)
        assert final.report is not None
        assert row["eager"] == final.report.speedup["eager"].median
        assert row["eager"] != row["search"]


def test_a_pause_between_sessions_is_not_charged(tmp_path: Path) -> None:
    folder = tmp_path / "box" / "cell"
    writer = synthetic.Writer(folder)
    (folder / "cell.json").write_text("{}")
    writer.event("control", {"op": "open", "cell": "cell", "guarantee": "G0"})
    writer.event("control", {"op": "infra", "what": "server away"}, after=10)
    writer.event("control", {"op": "resume"}, after=5000)
    writer.event("control", {"op": "close"}, after=7)
    writer.save()
    run = source.load(folder)
    assert run.seconds == pytest.approx(17)
    assert run.infra == ("server away",)


def test_a_changed_ledger_is_not_reported(tmp_path: Path) -> None:
    folder = synthetic.cell(tmp_path, synthetic.Spec("base"))
    text = (folder / "ledger.jsonl").read_text()
    (folder / "ledger.jsonl").write_text(text.replace('"incorrect"', '"verified"', 1))
    with pytest.raises(Error, match="cannot be trusted"):
        source.load_all([folder])


def test_attempt_rows_are_one_per_attempt_with_the_search_interval(folders: list[Path]) -> None:
    run = source.load(folders[2])
    found = rows.attempt_rows([run])
    asked = [e for e in lines(folders[2]) if e["kind"] == "ask"]
    assert [(r["task"], r["ordinal"]) for r in found] == sorted(
        (e["task"], e["ordinal"]) for e in asked
    )
    for row in found:
        assert (row["search"] is not None) == (row["stage"] == "measured")
        if row["search"] is not None:
            assert row["search_lo"] <= row["search"] <= row["search_hi"]
        json.dumps(row, allow_nan=False)
    assert any(row["role"] == "refine" and row["parents"] for row in found)
    assert any(row["duplicate_of"] is not None for row in found)


def test_the_holdout_secret_never_leaves_cell_json(folders: list[Path]) -> None:
    run = source.load(folders[0])
    secret = json.loads((folders[0] / "cell.json").read_text())["holdout_key"]
    assert secret not in repr(run.meta) + repr(rows.cell_row(run))
