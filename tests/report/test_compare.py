# SPDX-License-Identifier: Apache-2.0
"""Comparisons pair by task, say what differs, and refuse what cannot be compared."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder.errors import Error
from kernelcoder.report import compare, compare_views, source, stats
from kernelcoder.report.compare import Comparison, Side
from kernelcoder.report.rows import value_at_one


def side(letter: str, *folders: Path) -> Side:
    return Side(letter, letter.lower() * 3, tuple(source.load(folder) for folder in folders))


def text_of(found: Comparison) -> str:
    out = io.StringIO()
    compare_views.print_comparison(found, out)
    return out.getvalue()


def test_ratio_interval_and_tests_equal_a_direct_computation(tmp_path: Path) -> None:
    a = side("A", synthetic.cell(tmp_path, synthetic.Spec("best_of_n", rng_seed=1)))
    b = side("B", synthetic.cell(tmp_path, synthetic.Spec("refine", rate=0.4, rng_seed=2)))
    (c,) = compare.compare([a, b]).contrasts
    left = {task.id: task for task in a.runs[0].tasks}
    right = {task.id: task for task in b.runs[0].tasks}
    d = [math.log(value_at_one(right[t])) - math.log(value_at_one(left[t])) for t in sorted(left)]
    assert c.ratio == pytest.approx(math.exp(sum(d) / len(d)))
    assert c.p_speed == stats.sign_flip(d)
    good = [(left[t].winner is not None, right[t].winner is not None) for t in left]
    assert (c.both, c.only_a, c.only_b, c.none) == tuple(
        good.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    assert c.p_verified == stats.mcnemar(c.only_a, c.only_b)
    assert c.ratio_interval is not None
    assert c.ratio_interval[0] < c.ratio < c.ratio_interval[1]


def test_swapping_the_sides_inverts_the_ratio(tmp_path: Path) -> None:
    one = synthetic.cell(tmp_path, synthetic.Spec("best_of_n", rng_seed=1))
    two = synthetic.cell(tmp_path, synthetic.Spec("metr", rng_seed=2))
    (there,) = compare.compare([side("A", one), side("B", two)]).contrasts
    (back,) = compare.compare([side("A", two), side("B", one)]).contrasts
    assert there.ratio is not None
    assert there.ratio == pytest.approx(1 / (back.ratio or 0))
    assert there.p_speed == back.p_speed


def test_seeds_are_replicates_of_a_task(tmp_path: Path) -> None:
    a = side("A", *(synthetic.cell(tmp_path, synthetic.Spec(seed=s, rng_seed=s)) for s in (0, 1)))
    b = side(
        "B",
        *(
            synthetic.cell(tmp_path, synthetic.Spec("metr", seed=s, rng_seed=9 + s))
            for s in (0, 1, 2)
        ),
    )
    (c,) = compare.compare([a, b]).contrasts
    assert c.seeds == ("0", "1")
    assert len(c.tasks) == 20
    assert {t.a_verified for t in c.tasks} <= {0.0, 0.5, 1.0}
    assert "sign flip" in c.verified_test


def test_settings_that_differ_stand_above_the_numbers(tmp_path: Path) -> None:
    one = synthetic.cell(tmp_path, synthetic.Spec(extra_values={"FEWSHOT": 0}))
    two = synthetic.cell(tmp_path, synthetic.Spec(extra_values={"FEWSHOT": 3}, rng_seed=2))
    text = text_of(compare.compare([side("A", one), side("B", two)]))
    assert text.index("CONFIG_FEWSHOT") < text.index("Verified of")
    assert "CONFIG_RUN_WORKERS" not in text
    assert "CONFIG_BUDGET" not in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"machine": "other"}, "machine"), ({"verify_version": "2"}, "verifier version")],
)
def test_other_conditions_are_refused_unless_forced(
    tmp_path: Path, changes: dict[str, str], word: str
) -> None:
    one = side("A", synthetic.cell(tmp_path, synthetic.Spec()))
    two = side("B", synthetic.cell(tmp_path, synthetic.Spec("metr", **changes)))  # type: ignore[arg-type]
    with pytest.raises(Error, match=word):
        compare.compare([one, two])
    found = compare.compare([one, two], force=True)
    assert any(word in note for note in found.notes)
    assert "by --force" in text_of(found)


def test_the_same_cells_and_no_cells_are_errors(tmp_path: Path) -> None:
    one = synthetic.cell(tmp_path, synthetic.Spec())
    with pytest.raises(Error, match="the same cells"):
        compare.compare([side("A", one), side("B", one)])
    with pytest.raises(Error, match="no results"):
        compare.compare([side("A", one), side("B")])


def test_several_contrasts_are_adjusted_together(tmp_path: Path) -> None:
    folders = [
        synthetic.cell(tmp_path, synthetic.Spec(method, rng_seed=i))
        for i, method in enumerate(("best_of_n", "refine", "metr"))
    ]
    sides = [side(letter, folder) for letter, folder in zip("ABC", folders, strict=True)]
    found = compare.compare(sides)
    assert [c.letters for c in found.contrasts] == ["AB", "AC"]
    raw = [c.p_speed or 0.0 for c in found.contrasts]
    assert [c.p_holm for c in found.contrasts] == stats.holm(raw)


def test_a_direction_needs_interval_and_test(tmp_path: Path) -> None:
    slow = synthetic.cell(tmp_path, synthetic.Spec(rate=0.9, speed=0.6, rng_seed=1))
    fast = synthetic.cell(tmp_path, synthetic.Spec("metr", rate=0.9, speed=2.4, rng_seed=2))
    near = synthetic.cell(tmp_path, synthetic.Spec("refine", rate=0.9, speed=0.6, rng_seed=3))
    for one, two, words in (
        (slow, fast, "B's kernels are faster"),
        (fast, slow, "A's kernels are faster"),
        (slow, near, "No clear difference"),
    ):
        (c,) = compare.compare([side("A", one), side("B", two)]).contrasts
        said = " ".join(compare_views.sentences(c))
        assert words in said
        assert said.count("kernels are faster") + said.count("No clear difference") == 1


def test_untimed_sides_are_compared_by_correctness_alone(tmp_path: Path) -> None:
    one = side("A", synthetic.cell(tmp_path, synthetic.Spec(timed=False)))
    two = side("B", synthetic.cell(tmp_path, synthetic.Spec("metr", rng_seed=5)))
    found = compare.compare([one, two])
    assert found.contrasts[0].ratio is None
    assert "not measured on both sides" in text_of(found)
    page = compare_views.comparison_page(found)
    assert "not measured on both sides" in page
    assert "What differs" in page
