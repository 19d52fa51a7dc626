# SPDX-License-Identifier: Apache-2.0
"""What is not the model's doing is not counted against it, what is not begun is not left out, and
recipes are not called a language model."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder import cells, matrix
from kernelcoder.report import claims, exports, html, rows, source, table

LOST = ("infra_error", "compiled", "the slot <b>process</b> was killed")


@pytest.fixture
def half_lost(tmp_path: Path) -> source.CellRun:
    """About half of the attempts failed by the machine, the others verified."""
    spec = synthetic.Spec(rate=0.5, reasons=(LOST,), tasks=synthetic.TASKS[:6], tokens=True)
    return source.load(synthetic.cell(tmp_path, spec))


def test_a_failure_of_the_machine_is_no_attempt_of_the_model(half_lost: source.CellRun) -> None:
    row = rows.cell_row(half_lost)
    tries = [t for task in half_lost.tasks for t in task.tries]
    lost = sum(t.quarantined for t in tries)
    assert 0 < lost < len(tries)
    assert (row["attempts"], row["quarantined"]) == (len(tries) - lost, lost)
    assert row["quarantined_reasons"] == [[lost, LOST[2]]]
    assert row["statuses"] == {"verified": row["attempts"]}
    assert row["funnel"]["generated"] == row["funnel"]["verified"] == row["attempts"]
    assert row["calls"] == len(tries), "what was paid stays paid"
    assert sum(task["quarantined"] for task in rows.task_rows([half_lost])) == lost
    assert sum(task["attempts"] for task in rows.task_rows([half_lost])) == row["attempts"]
    assert len(rows.attempt_rows([half_lost])) == len(tries), "each can still be looked at"


def test_table_page_and_markdown_name_count_and_reason(half_lost: source.CellRun) -> None:
    row = rows.cell_row(half_lost)
    lost = row["quarantined"]
    out = io.StringIO()
    table.print_cells([row], out)
    assert f"{lost} attempts quarantined" in out.getvalue()
    assert f"most often `{LOST[2]}`" in out.getvalue()
    page = html.page([half_lost])
    assert f"{lost} attempts quarantined (infra_error)" in page
    assert 'most often <q class="evidence">the slot &lt;b&gt;process' in page
    assert f"{lost} attempts quarantined, in no other count; most often `" in exports.markdown(
        [half_lost]
    )


def test_a_task_of_nothing_but_failures_of_the_machine_is_not_called_failed(tmp_path: Path) -> None:
    spec = synthetic.Spec(rate=0.0, reasons=(LOST,), tasks=synthetic.TASKS[:2])
    run = source.load(synthetic.cell(tmp_path, spec))
    assert [task.outcome for task in run.tasks] == ["quarantined", "quarantined"]
    assert claims.task_claim(rows.task_rows([run])[0]) == "the machine failed at every attempt"
    assert rows.cell_row(run)["attempts"] == 0


def test_an_unfinished_cell_has_its_whole_denominator(tmp_path: Path) -> None:
    spec = synthetic.Spec(rate=1.0, finished=False, tasks=synthetic.TASKS[:5])
    folder = synthetic.cell(tmp_path, spec)
    begun = rows.rows_of([folder])[0]
    meta = json.loads((folder / "cell.json").read_text()) | {"tasks": list(synthetic.TASKS)}
    (folder / "cell.json").write_text(json.dumps(meta))
    row = rows.rows_of([folder])[0]
    assert (begun["n_tasks"], row["n_tasks"]) == (5, 20)
    assert row["n_verified"] == begun["n_verified"] == 4
    assert row["verified_hi"] < begun["verified_hi"]
    assert row["fast_1"] == pytest.approx(begun["fast_1"] / 4)
    assert row["geomean_all"] == pytest.approx(begun["geomean_all"] ** 0.25)
    assert row["geomean_all_compile"] == pytest.approx(begun["geomean_all_compile"] ** 0.25)
    assert row["geomean_verified"] == begun["geomean_verified"]
    assert row["fast_p"]["0"] == pytest.approx(0.2)
    assert "4 of 20 tasks verified" in html.page([source.load(folder)])


def test_replayed_recipes_are_no_language_model(tmp_path: Path) -> None:
    spec = synthetic.Spec(model="replay", model_id="replay:recorded")
    run = source.load(synthetic.cell(tmp_path, spec))
    assert run.language_model, "an old cell that does not say"
    for said in (False, True):
        meta = {**run.meta, "language_model": said}
        row = rows.cell_row(dataclasses.replace(run, meta=meta))
        assert row["language_model"] is said
        assert claims.tokens(row) == ("unknown" if said else "none")
        assert ("no language model" in claims.proposer(row)) is not said
    values = {**run.values, "MODEL_REPLAY_OF": "recipe:v1"}
    old = dataclasses.replace(run, meta={**run.meta, "values": values})
    assert not old.language_model


@pytest.mark.parametrize(
    ("of", "is_one"), [("recipe:v1", False), ("embedded:free", True), ("litellm:gemini/x", True)]
)
def test_the_cell_records_what_was_replayed(of: str, is_one: bool) -> None:
    values = {"MODEL_REPLAY_ID": "replay:recorded", "MODEL_REPLAY_OF": of}
    cell = matrix.Cell("base", "none", "replay", "cpu", "core", 0, values, "x")
    assert cells.language_model(cell) is is_one
    plain = matrix.Cell("base", "none", "recipe", "cpu", "core", 0, {}, "x")
    assert not cells.language_model(plain)
