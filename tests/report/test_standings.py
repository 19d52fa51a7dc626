# SPDX-License-Identifier: Apache-2.0
"""Who won, by how much, how sure, at what cost; and that nobody wins by luck or another ruler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from report import synthetic

from kernelcoder.report import claims, groups, html, lines, source, standings, verdicts
from kernelcoder.report.rows import cell_row, value_at_one
from kernelcoder.report.source import CellRun

SMALL: dict[str, Any] = {"tasks": synthetic.TASKS[:8], "budget": 4}


def cells(root: Path, *specs: dict[str, Any]) -> list[CellRun]:
    return [
        source.load(synthetic.cell(root, synthetic.Spec(**{"rng_seed": n, **SMALL, **spec})))
        for n, spec in enumerate(specs, 1)
    ]


def leagues(runs: Sequence[CellRun]) -> list[standings.League]:
    return standings.standings(groups.groups(runs))


def test_seeds_are_one_configuration(tmp_path: Path) -> None:
    runs = cells(tmp_path, *({"method": m, "seed": s} for m in ("metr", "refine") for s in (0, 1)))
    found = groups.groups(runs)
    assert [(g.label, g.places) for g in found] == [("metr", (0, 1)), ("refine", (2, 3))]
    assert [list(g.by_seed) for g in found] == [["0", "1"], ["0", "1"]]


def test_the_speed_is_the_mean_over_tasks_and_seeds(tmp_path: Path) -> None:
    runs = cells(tmp_path, *({"method": "metr", "seed": s} for s in range(3)))
    (league,) = leagues(runs)
    logs = [math.log(value_at_one(task)) for run in runs for task in run.tasks]
    assert league.ranked[0].speed == pytest.approx(math.exp(sum(logs) / len(logs)), abs=1e-9)


def test_one_seed_says_what_the_cell_says(tmp_path: Path) -> None:
    (run,) = cells(tmp_path, {"method": "metr"})
    row, (league,) = cell_row(run), leagues([run])
    assert league.ranked[0].speed == pytest.approx(row["geomean_all"], abs=1e-9)
    assert league.ranked[0].interval == pytest.approx(
        (row["geomean_all_lo"], row["geomean_all_hi"])
    )


def test_a_large_difference_wins(tmp_path: Path) -> None:
    runs = cells(tmp_path, {"method": "metr", "speed": 6.0, "tasks": synthetic.TASKS[:12]},
                 {"method": "refine", "speed": 1.1, "tasks": synthetic.TASKS[:12]})  # fmt: skip
    (league,) = leagues(runs)
    said = verdicts.verdict(league)
    assert said is not None
    assert said.who == "metr won against the other."
    best = league.ranked[0]
    assert best.group.label == "metr" and best.speed is not None and best.interval is not None
    lo, hi = (claims.times(value) for value in best.interval)
    assert f"{claims.times(best.speed)}x the speed of eager [{lo}, {hi}]" in said.much
    assert "p is below 0.05 for 1 of them" in said.sure
    assert said.cost.startswith("metr: ")


def test_equal_methods_have_no_winner(tmp_path: Path) -> None:
    runs = cells(tmp_path, {"method": "metr", "rng_seed": 3}, {"method": "refine", "rng_seed": 4})
    (league,) = leagues(runs)
    said = verdicts.verdict(league)
    assert said is not None and said.who.startswith("No winner: ")
    page = html.page(runs)
    assert "No winner" in page and "won against" not in page
    assert "Kernels by: recipe search, no language model." in page


def test_being_first_of_many_is_corrected_for(tmp_path: Path) -> None:
    names = ("metr", "refine", "scs", "lats", "beam")
    (league,) = leagues(cells(tmp_path, *({"method": name} for name in names)))
    for one in league.ranked[1:]:
        c = one.contrast
        assert c is not None and c.p_holm is not None and c.p_speed is not None
        assert c.p_holm >= c.p_speed and c.ratio is not None and c.ratio >= 1.0
    assert max(one.contrast.p_holm or 0 for one in league.ranked[1:] if one.contrast) <= 1.0


def test_the_unfinished_and_the_untimed_are_not_ranked(tmp_path: Path) -> None:
    runs = cells(
        tmp_path, {"method": "metr", "finished": False, "speed": 9.0}, {"method": "refine"},
        {"method": "scs"},
    )  # fmt: skip
    (first, *rest) = leagues(runs)
    ranked = [one.group.label for league in (first, *rest) for one in league.ranked]
    assert "metr" not in ranked and set(ranked) == {"refine", "scs"}
    untimed = leagues(cells(tmp_path / "u", {"method": "metr", "timed": False}))[0]
    assert untimed.ranked == () and verdicts.verdict(untimed) is None


def test_another_ruler_is_another_league(tmp_path: Path) -> None:
    runs = cells(
        tmp_path, {"method": "metr"}, {"method": "refine", "machine": "other"},
        {"method": "scs", "baseline": "compile", "timed": False},
        {"method": "lats", "tasks": synthetic.TASKS[:5]},
    )  # fmt: skip
    assert len(leagues(runs)) == 4


def test_the_cheapest_that_cannot_be_told_from_the_first_is_named(tmp_path: Path) -> None:
    paid = {"model": "gemini_flash", "model_id": "litellm:gemini/gemini-flash", "tokens": True}
    runs = cells(
        tmp_path, {"method": "metr", "rng_seed": 4, "cost": 0.01, **paid},
        {"method": "refine", "rng_seed": 3, "cost": 0.5, "speed": 1.5, **paid},
    )  # fmt: skip
    (league,) = leagues(runs)
    said = verdicts.verdict(league)
    assert said is not None and league.ranked[0].group.label == "refine"
    assert "The cheapest that cannot be told from it is metr." in said.cost
    assert "$16.00 charged ($16.00 paid)" in said.cost


def test_a_matrix_draws_six_lines_and_offers_the_others(tmp_path: Path) -> None:
    runs = cells(
        tmp_path,
        *(
            {"method": m, "memory": k, "seed": s, "tasks": synthetic.TASKS[:4], "budget": 3}
            for m in ("metr", "refine", "scs")
            for k in ("none", "skills", "placebo")
            for s in (0, 1)
        ),
    )
    found = groups.groups(runs)
    drawn = lines.lines(found, standings.standings(found))
    assert sum(not line.off for line in drawn) == lines.MANY
    assert {line.group.axes["method"] for line in drawn[:3]} == {"metr", "refine", "scs"}
    assert sorted(line.index for line in drawn) == list(range(9))
    page = html.page(runs)
    for line in drawn:
        assert f'<input type="checkbox" data-serie="{line.index}"' in page
    chart = page.partition('aria-labelledby="c-attempts-1-t"')[2].partition("</svg>")[0]
    assert chart.count('class="serie off"') == 3 and chart.count('class="serie"') == 6
    assert "method by memory" in page
    assert page.count('<article class="card">') == 18


def test_few_cells_offer_no_choice(tmp_path: Path) -> None:
    runs = cells(tmp_path, {"method": "metr"}, {"method": "refine"})
    assert 'class="chooser"' not in html.page(runs)


def test_backends_stand_side_by_side(tmp_path: Path) -> None:
    root = tmp_path / "results"
    one = source.load(synthetic.cell(root, synthetic.Spec("metr", **SMALL)))
    two = source.load(synthetic.cell(root, synthetic.Spec("metr", machine="gpu", **SMALL)))
    page = html.page([one, two])
    assert "Across backends" in page and "cpu on box" in page and "cpu on gpu" in page
    assert "All cells ran on one backend." in html.page([one])
