# SPDX-License-Identifier: Apache-2.0
"""Which finalist becomes the result: when all hold up, when one does, when the baseline is lost."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, fenced, kernel, timing

from kernelcoder.choosing import choose
from kernelcoder.methods import best_of_n
from kernelcoder.records import Candidate, to_json
from kernelcoder.report import claims, rows, source, table
from kernelcoder.task import Task
from kernelcoder.verify import Finalist


class Hard(ToldVerifier):
    """Of several finalists only the first line named here holds up, and was then timed alone."""

    def __init__(self, survivor: str) -> None:
        super().__init__()
        self.survivor = survivor

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        found = []
        for one in candidates:
            if one.source.startswith(f"// outcome: {self.survivor}"):
                found.append(Finalist(one.sha, None, timing(1.25, "final")))
            else:
                found.append(Finalist(one.sha, None, None, "incorrect on fresh hidden cases"))
        return found


class Lost(ToldVerifier):
    """The baseline speedups are judged by cannot be timed again."""

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        return [
            Finalist(
                one.sha,
                without(one.select, "eager"),
                without(one.report, "eager"),
            )
            for one in super().retime(task, candidates, key)
        ]


def without(one: Any, baseline: str) -> Any:
    if one is None:
        return None
    kept = {name: ratio for name, ratio in one.speedup.items() if name != baseline}
    return dataclasses.replace(one, speedup=kept)


def searched(folder: Path, verifier: ToldVerifier, *outcomes: str) -> dict[str, Any]:
    """The select event of a serial best-of-n over these outcomes."""
    left = list(outcomes)
    model = ScriptedModel(lambda request: fenced(kernel(left.pop(0), str(len(left)))))
    lab = Lab(
        folder, best_of_n, best_of_n.Options(False), model, verifier,
        budget=len(outcomes), workers=1,
    )  # fmt: skip
    ledger = lab.run()
    return dict(next(event for event in ledger.events if event.kind == "select").data)


def test_the_only_one_that_held_up_is_chosen(tmp_path: Path) -> None:
    told = searched(tmp_path, Hard("verified 1.5"), "verified 3.0", "verified 1.5", "verified 2.0")
    assert len(told["finalists"]) == 3
    assert (told["chosen"], told["how"]) == (1, "the only finalist that held up, timed again")


def test_none_that_held_up_is_none_chosen(tmp_path: Path) -> None:
    told = searched(tmp_path, Hard("nobody"), "verified 3.0", "verified 1.5")
    assert (told["chosen"], told["how"]) == (None, "no finalist held up when timed again")


def test_without_the_baseline_the_least_time_decides_and_it_is_said(tmp_path: Path) -> None:
    told = searched(tmp_path, Lost(), "verified 1.5", "verified 3.0", "verified 2.0")
    assert told["chosen"] == 1
    assert told["how"].startswith("fewest CPU seconds")
    assert "eager could not be timed" in told["how"]


def test_a_lone_finalist_without_the_baseline_is_chosen_and_it_is_said(tmp_path: Path) -> None:
    told = searched(tmp_path, Lost(), "verified 1.5", "incorrect")
    assert told["chosen"] == 0
    assert told["how"].endswith("; eager could not be timed, so its speedup is unknown")


def test_one_finalist_without_the_baseline_makes_time_the_judge_of_all() -> None:
    def entry(ordinal: int, speed: float, lost: bool) -> dict[str, Any]:
        one = timing(speed, "final")
        data = to_json(without(one, "eager") if lost else one)
        return {"ordinal": ordinal, "select": data, "report": data}

    pair = [entry(0, 2.0, False), entry(1, 3.0, True)]
    assert choose(pair, "eager", True)[0] == 1
    assert choose(pair, "compile", True)[0] == 1
    tied = [entry(4, 2.0, True), entry(2, 2.0, True)]
    assert choose(tied, "eager", True)[0] == 2, "a tie goes to the earlier one"


def test_a_lost_baseline_is_an_unknown_speed_and_no_failure(tmp_path: Path) -> None:
    searched(tmp_path, Lost(), "verified 1.5", "verified 3.0")
    cell = {"cell": CELL, "axes": {"method": "best_of_n"}, "values": {}, "tasks": [POOL[0].id]}
    (tmp_path / CELL / "cell.json").write_text(json.dumps(cell))
    run = source.load(tmp_path / CELL)
    row, (task,) = rows.cell_row(run), rows.task_rows([run])
    assert (row["n_verified"], row["n_timed"]) == (1, 0)
    assert row["geomean_all"] is row["fast_1"] is row["geomean_all_eager"] is None
    assert row["geomean_all_compile"] == pytest.approx(5.4)
    assert (task["outcome"], task["eager"]) == ("verified", None)
    assert claims.task_claim(task) == "verified, speed over eager unknown"


def test_one_unknown_speed_makes_the_mean_unknown(tmp_path: Path) -> None:
    from report import synthetic

    folder = synthetic.cell(tmp_path, synthetic.Spec(rate=1.0, tasks=synthetic.TASKS[:3]))
    run = source.load(folder)
    assert rows.cell_row(run)["geomean_all"] is not None
    first = run.tasks[0]
    finals = tuple(
        dataclasses.replace(one, report=without(one.report, "eager")) for one in first.finals
    )
    lost = dataclasses.replace(
        run, tasks=(dataclasses.replace(first, finals=finals), *run.tasks[1:])
    )
    row = rows.cell_row(lost)
    assert (row["n_verified"], row["n_timed"]) == (3, 2)
    assert row["geomean_all"] is row["fast_1"] is None
    assert row["geomean_verified"] is not None
    assert "unknown for 1 of 3 tasks" in " ".join(claims.headline(row))
    out = io.StringIO()
    table.print_cells([row], out)
    assert "the speed over eager of 1 verified is unknown" in " ".join(out.getvalue().split())
