# SPDX-License-Identifier: Apache-2.0
"""What judges noticed and counted reaches the reader, and a machine's fault reads as one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from report import synthetic

from kernelcoder.choosing import MACHINE, choose
from kernelcoder.records import Verdict
from kernelcoder.report import claims, exports, html, source, table
from kernelcoder.report.rows import attempt_rows, cell_row
from kernelcoder.report.source import CellRun, Final, TaskRun, Try

CHEAT = Verdict(
    "cheating", "smoke_passed", "it was busy", labels=("late work after done",),
    checked={"cases": 3, "elements": 12, "passes": 1},
)  # fmt: skip
REFUSED = Verdict(
    "refused", "compiled", "it calls x", labels=("a library does the work", "reads a clock")
)


def judged(folder: Path, *verdicts: Verdict) -> CellRun:
    """A synthetic cell whose first attempts have these verdicts."""
    run = source.load(synthetic.cell(folder, synthetic.Spec(rate=0.0, tasks=synthetic.TASKS[:1])))
    task = run.tasks[0]
    first = next(t for t in task.tries if t.verdict is not None)
    tries = tuple(
        dataclasses.replace(first, ordinal=n, verdict=verdict, duplicate_of=None)
        for n, verdict in enumerate(verdicts)
    )
    return dataclasses.replace(run, tasks=(dataclasses.replace(task, tries=tries),))


def test_labels_are_counted_by_status_and_shown(tmp_path: Path) -> None:
    run = judged(tmp_path, CHEAT, REFUSED, CHEAT)
    row = cell_row(run)
    assert row["labels"] == {
        "cheating": {"late work after done": 2},
        "refused": {"a library does the work": 1, "reads a clock": 1},
    }
    text = "2 cheating (late work after done: 2), 1 refused (a library does the work: 1"
    assert text in table.failures(row)
    page = html.page([run])
    assert "it cheated: late work after done (2)" in page
    assert "late work after done: 2" in exports.markdown([run])


def test_attempts_carry_labels_and_counts(tmp_path: Path) -> None:
    rows = attempt_rows([judged(tmp_path, CHEAT, REFUSED)])
    assert [row["labels"] for row in rows] == [list(CHEAT.labels), list(REFUSED.labels)]
    assert rows[0]["checked"] == {"cases": 3, "elements": 12, "passes": 1}
    json.dumps(rows, allow_nan=False)


def test_without_labels_nothing_is_said(tmp_path: Path) -> None:
    plain = Verdict("cheating", "compiled", "it was busy")
    run = judged(tmp_path, plain)
    assert table.failures(cell_row(run)) == "1 cheating"
    assert "Noticed in attempts" not in html.page([run])


def retimed(task: TaskRun, *reasons: str) -> TaskRun:
    """A task whose attempts were verified once and whose finalists all fell for these reasons."""
    finals = tuple(Final(n, "", None, None, reason) for n, reason in enumerate(reasons))
    return dataclasses.replace(task, finals=finals, chosen=None, selected=True, ended=True)


def test_a_machine_that_failed_while_retiming_is_not_the_kernels_fault(tmp_path: Path) -> None:
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec(rate=1.0, tasks=synthetic.TASKS[:1])))
    task = run.tasks[0]
    verified: list[Try] = [t for t in task.tries if t.verdict is not None and t.verdict.verified]
    assert verified
    wrong, ours = "incorrect on fresh hidden cases: x", f"{MACHINE} the machine could not time it"
    assert retimed(task, wrong, wrong).outcome == "not reproduced"
    assert retimed(task, wrong, ours).outcome == "not re-timed"
    assert "machine" in claims.outcome_words("not re-timed")
    entries = [{"ordinal": 0, "select": None, "report": None, "reason": ours}]
    assert choose(entries, "eager", True) == (
        None, "the machine failed while finalists were timed again",
    )  # fmt: skip
    assert "no finalist held up" in choose([{**entries[0], "reason": wrong}], "eager", True)[1]
