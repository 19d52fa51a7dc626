# SPDX-License-Identifier: Apache-2.0
"""The winner's curse in rows, table and page: only what was measured twice, and n beside it."""

from __future__ import annotations

import dataclasses

import pytest

from kernelcoder.records import CaseTiming, Ratio, Timing
from kernelcoder.report import shrinkage, shrinkage_section


def case(name: str, speedup: float, heldout: bool = False) -> CaseTiming:
    ratio = Ratio(speedup, speedup * 0.9, speedup * 1.1, 6)
    return CaseTiming(name, (4, 4), "f32", "hot", 1e-6, {"eager": ratio}, None, heldout)


def final(speedup: float, *unseen: float) -> Timing:
    cases = (case("hot", speedup), *(case(f"unseen-{i}", s, True) for i, s in enumerate(unseen)))
    return Timing("final", {"eager": cases[0].speedup["eager"]}, None, 1e-6, cases)


def test_one_task_shrinks_by_what_was_measured_again() -> None:
    fields = shrinkage.task_fields(2.5, final(2.0, 1.0, 4.0), "eager")
    assert fields["shrink_final"] == pytest.approx(0.8)
    assert fields["heldout"] == pytest.approx(2.0)
    assert fields["shrink_heldout"] == pytest.approx(1.0)


def test_what_was_not_measured_is_unknown_and_not_one() -> None:
    assert set(shrinkage.task_fields(2.0, None, "eager").values()) == {None}
    assert shrinkage.task_fields(None, final(2.0), "eager") == {
        "heldout": None, "shrink_final": None, "shrink_heldout": None,
    }  # fmt: skip
    assert shrinkage.task_fields(2.0, final(2.0, 1.0), "compile")["shrink_final"] is None
    partly = final(2.0, 1.0)
    lacking = dataclasses.replace(case("unseen-9", 1.0, True), speedup={})
    partly = dataclasses.replace(partly, cases=(*partly.cases, lacking))
    assert shrinkage.heldout(partly, "eager") is None


def test_a_cell_has_geometric_means_over_the_tasks_that_have_both() -> None:
    tasks = [
        shrinkage.task_fields(2.0, final(1.0, 0.5), "eager"),
        shrinkage.task_fields(1.0, final(2.0), "eager"),
        shrinkage.task_fields(1.0, None, "eager"),
    ]
    row = shrinkage.cell_fields(tasks)
    assert row["shrink_final"] == pytest.approx(1.0)
    assert (row["shrink_final_n"], row["shrink_heldout_n"]) == (2, 1)
    assert row["shrink_heldout"] == pytest.approx(0.5)
    texts = shrinkage.cell_texts(row)
    assert texts[0].startswith("1.000 [0.50, 2.00] n=2")
    assert texts[1] == "0.500 n=1"
    assert shrinkage.known([row])
    none = shrinkage.cell_fields(tasks[2:])
    assert not shrinkage.known([none])
    assert shrinkage.cell_texts(none) == ["-", "-"]


def test_the_section_lists_every_task_measured_twice() -> None:
    fields = shrinkage.task_fields(2.0, final(1.0, 0.5), "eager")
    task = {"cell": "c", "task": "core/<relu>", "baseline": "eager", "search": 2.0, "eager": 1.0}
    row = {"cell": "c", **shrinkage.cell_fields([fields])}
    text = shrinkage_section.section([row], [task | fields], ["label"])
    assert "core/&lt;relu&gt;" in text
    assert "held-out / final" in text
    assert text.count("0.500") >= 2
    empty = {"cell": "c", **shrinkage.cell_fields([])}
    assert "No kernel" in shrinkage_section.section([empty], [], ["label"])
