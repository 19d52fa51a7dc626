# SPDX-License-Identifier: Apache-2.0
"""What memories did: shown against withheld, whole and shrunk; and where items come from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report import synthetic

from kernelcoder.report import effects, groups, memory_section, payload, source, spending
from kernelcoder.report.effects import Arm
from kernelcoder.report.source import CellRun

ITEMS = ("sk-1", "sk-2")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CellRun:
    spec = synthetic.Spec(
        "refine", memory="skills", items=ITEMS, help=0.6, rate=0.2, steps=2, budget=8, tokens=True,
        cost=0.01, model_id="litellm:m", extra=HOSTILE, learns=synthetic.TASKS[:2], rng_seed=9,
    )  # fmt: skip
    return source.load(synthetic.cell(tmp_path_factory.mktemp("effects"), spec))


def test_uses_are_what_the_ledger_says(run: CellRun) -> None:
    found = effects.effect(effects.uses([run]))
    names = [
        (name, t.verdict is not None and t.verdict.verified)
        for task in (*run.tasks, *run.lessons)
        for t in task.judged
        for name in t.context
    ]
    held = [good for name, good in names if name.startswith("withheld:")]
    shown = [good for name, good in names if not name.startswith("withheld:")]
    assert (found.shown.uses, found.shown.verified) == (len(shown), sum(shown))
    assert (found.held.uses, found.held.verified) == (len(held), sum(held))
    assert found.points == pytest.approx(sum(shown) / len(shown) - sum(held) / len(held))
    assert found.points_interval is not None
    assert found.points_interval[0] < found.points < found.points_interval[1]


def test_without_a_control_nothing_is_claimed(run: CellRun) -> None:
    uses = {"t": {"a": (Arm(5, 4, 1.0), Arm())}}
    found = effects.effect(uses)
    assert found.points is None and found.ratio is None and found.found is None
    assert effects.items(uses)[0].shrunk is None


def test_an_effect_by_hand() -> None:
    uses = {
        "t": {"a": (Arm(4, 3, 4 * math.log(2)), Arm(2, 0, 0.0))},
        "u": {"a": (Arm(4, 1, 0.0), Arm(2, 1, 0.0))},
    }
    found = effects.effect(uses)
    assert found.points == pytest.approx(0.5 - 0.25)
    assert found.ratio == pytest.approx(2**0.5)
    # resamples: t twice, one of each, u twice
    assert found.points_interval == pytest.approx((1 / 4 - 1 / 2, 3 / 4))
    assert found.found == pytest.approx(2.801585 * math.sqrt(5 / 12 * 7 / 12 * (1 / 8 + 1 / 4)))


def test_equal_effects_shrink_to_their_mean() -> None:
    assert effects.shrink([(0.1, 0.04), (0.1, 0.01)]) == pytest.approx([0.1, 0.1])
    assert effects.shrink([]) == []
    assert effects.shrink([(0.3, 0.02)]) == pytest.approx([0.3])


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 0.5)), min_size=2, max_size=9))
def test_shrinking_stays_between_the_estimate_and_the_mean(
    estimates: list[tuple[float, float]],
) -> None:
    weights = [1 / v for _, v in estimates]
    mean = sum(w * d for w, (d, _) in zip(weights, estimates, strict=True)) / sum(weights)
    for (d, _), small in zip(estimates, effects.shrink(estimates), strict=True):
        assert min(d, mean) - 1e-9 <= small <= max(d, mean) + 1e-9


def test_items_know_where_they_were_learnt(run: CellRun) -> None:
    known = effects.learnt(run)
    assert set(known) == set(ITEMS)
    text, places = known["sk-1"]
    assert text.startswith("Lesson sk-1: Keep it simple.")
    assert places == (f"{run.id}/{run.tasks[-1].id}#0",)


def test_the_page_tells_shown_from_withheld(run: CellRun) -> None:
    cell: Mapping[str, object] = payload.payload([run], ["a"])["cells"][0]
    tasks = cell["tasks"]
    assert isinstance(tasks, list)
    for task, sent in zip(run.tasks, tasks, strict=True):
        for attempt, entry in zip(task.tries, sent["tries"], strict=True):
            names = [f"withheld:{name}" if held else name for name, held in entry["context"]]
            assert tuple(names) == attempt.context
            assert [step["purpose"] for step in entry["steps"]] == ["plan", "plan"]
    text = memory_section.section(groups.groups([run]))
    assert HOSTILE not in text and "points" in text


def test_money_is_by_role_and_sums_to_everything(run: CellRun) -> None:
    parts = spending.parts([run])
    assert [(part.owner, part.purpose) for part in parts] == [("kernel", ""), ("recipe", "plan")]
    total = math.fsum(call["usage"]["cost_usd"] for call in run.calls)
    assert math.fsum(part.usd for part in parts) == pytest.approx(total)
    plan = parts[1]
    assert (plan.calls_paid, plan.calls) == (plan.calls // 2, plan.calls)
    assert plan.usd_paid == pytest.approx(plan.usd / 2)
    lost = spending.wastes([run])
    assert math.fsum(one.usd for one in lost) == pytest.approx(total)
    tries = [t for task in (*run.tasks, *run.lessons) for t in task.tries]
    assert sum(one.attempts for one in lost) == len(tries)
