# SPDX-License-Identifier: Apache-2.0
"""Declared contrasts: which pairs they make, what they are corrected for, and how they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report import synthetic

from kernelcoder import __main__ as cli
from kernelcoder.errors import Error
from kernelcoder.report import compare, contrast_views, contrasts, html, source, stats
from kernelcoder.report.source import CellRun

DECLARED = {contrasts.SYMBOL: "method:best_of_n,scs memory:none,placebo"}


def cells(root: Path, *specs: tuple[str, str], **changes: Any) -> list[CellRun]:
    """One cell for each (method, memory)."""
    values = {**DECLARED, **changes.pop("values", {})}
    found = []
    for number, (method, memory) in enumerate(specs):
        spec = synthetic.Spec(
            method, memory=memory, rng_seed=number + 1, extra_values=values, **changes
        )
        found.append(source.load(synthetic.cell(root, spec)))
    return found


def named(found: contrasts.Family) -> set[tuple[str, str, str]]:
    return {(one.control, one.member, one.where) for one in found.contrasts}


def test_every_member_meets_every_control_all_else_equal(tmp_path: Path) -> None:
    every = [(m, k) for m in ("best_of_n", "scs", "metr") for k in ("none", "skills")]
    found = contrasts.family(cells(tmp_path, *every))
    for memory in ("none", "skills"):
        where = f"{memory} recipe cpu core"
        assert ("best_of_n", "metr", where) in named(found)
        assert ("scs", "metr", where) in named(found)
        assert ("best_of_n", "scs", where) in named(found)
        assert ("scs", "best_of_n", where) not in named(found)
    assert ("none", "skills", "metr recipe cpu core") in named(found)
    assert len(found.contrasts) == 2 * 3 + 3
    assert found.notes == ("no cells of memory placebo: nothing is held against it",)


def test_a_contrast_is_the_comparison_of_its_two_cells(tmp_path: Path) -> None:
    one, two = cells(tmp_path, ("best_of_n", "none"), ("metr", "none"))
    (declared,) = contrasts.family([one, two]).contrasts
    sides = [compare.Side("A", "a", (one,)), compare.Side("B", "b", (two,))]
    (plain,) = compare.compare(sides).contrasts
    assert declared.contrast.ratio == plain.ratio
    assert declared.contrast.ratio_interval == plain.ratio_interval
    assert declared.contrast.p_speed == plain.p_speed


def test_holm_runs_over_the_whole_family(tmp_path: Path) -> None:
    found = contrasts.family(
        cells(
            tmp_path, ("best_of_n", "none"), ("scs", "none"), ("metr", "none"), ("refine", "none")
        )
    )
    ps = [one.contrast.p_speed for one in found.contrasts]
    assert len(ps) == 5 and None not in ps
    adjusted = [one.contrast.p_holm for one in found.contrasts]
    assert adjusted == stats.holm([p for p in ps if p is not None])


def test_cells_that_differ_in_more_than_the_axis_are_not_held_against_each_other(
    tmp_path: Path,
) -> None:
    one = cells(tmp_path, ("best_of_n", "none"))
    other = cells(tmp_path, ("metr", "none"), values={"FEWSHOT": 3})
    assert contrasts.family([*one, *other]).contrasts == ()
    own = cells(tmp_path / "own", ("metr", "none"), values={"METHOD_METR_DRAFTS": 3})
    assert len(contrasts.family([*one, *own]).contrasts) == 1


def test_cells_that_declared_differently_make_no_family(tmp_path: Path) -> None:
    one = cells(tmp_path, ("best_of_n", "none"))
    other = cells(tmp_path, ("metr", "none"), values={contrasts.SYMBOL: "method:base"})
    found = contrasts.family([*one, *other])
    assert found.contrasts == () and "declared different contrasts" in found.notes[0]


@pytest.mark.parametrize("text", ["method", "colour:red", "method:", ":none"])
def test_a_declaration_that_means_nothing_is_an_error(text: str) -> None:
    with pytest.raises(Error, match="not a declaration"):
        contrasts.read(text)


def test_tasks_that_taught_are_in_no_result(tmp_path: Path) -> None:
    learns = synthetic.TASKS[::2]
    one, two = cells(tmp_path, ("best_of_n", "none"), ("metr", "none"), learns=learns)
    (declared,) = contrasts.family([one, two]).contrasts
    assert {task.task for task in declared.contrast.tasks} == set(synthetic.TASKS[1::2])
    assert {task.id for task in one.lessons} == set(learns)
    assert one.n_tasks == len(synthetic.TASKS[1::2])


def test_page_and_text_say_the_same(tmp_path: Path) -> None:
    runs = cells(tmp_path, ("best_of_n", "none"), ("metr", "none"), ("metr", "placebo"))
    found = contrasts.family(runs)
    page, text = html.page(runs), "\n".join(contrast_views.lines(found))
    assert "Declared contrasts" in page
    for one in found.contrasts:
        ratio = f"{one.contrast.ratio:.2f}"
        assert ratio in text and ratio in page
    assert "for all declared contrasts, 2 of them" in text


def test_compare_with_one_side_prints_what_was_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    cells(tmp_path / "results", ("best_of_n", "none"), ("metr", "none"))
    page = tmp_path / "page.html"
    code = cli.main(["compare", "A=*", "--machine", "box", "--html", str(page)])
    said = capsys.readouterr().out
    assert code == 0 and "method, within none recipe cpu core" in said
    assert "Declared contrasts" in page.read_text()
