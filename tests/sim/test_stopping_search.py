# SPDX-License-Identifier: Apache-2.0
"""Stop rules in whole searches: decided by ordinal, written down, and taken up again when eased."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sim_world import Dawdling, asks, world

from kernelcoder import cell_state
from kernelcoder.ledger import Event
from kernelcoder.models import sim

SIX = "CONFIG_SUITE_SIM_COUNT=6"


def ends(events: list[Event]) -> dict[str, dict[str, object]]:
    """Task -> data of its last task_end."""
    found = {}
    for event in events:
        if event.kind == "control" and event.data["op"] == "task_end":
            found[str(event.task)] = dict(event.data)
    return found


def counts(events: list[Event]) -> Counter[str]:
    return Counter(str(ask["task"]) for ask in asks(events))


def test_a_target_ends_tasks_early_and_is_in_no_cell_id(tmp_path: Path) -> None:
    plain = world(tmp_path / "plain", "best_of_n", "none", SIX, "CONFIG_BUDGET=12")
    ruled = world(tmp_path / "ruled", "best_of_n", "none", SIX, "CONFIG_BUDGET=12")
    target = "CONFIG_BUDGET_STOP_SPEEDUP_PERCENT=130"
    assert plain.cell().id == ruled.cell(target).id
    whole, short = plain.done(), ruled.done(target)
    asked = counts(short)
    assert counts(whole) == dict.fromkeys(asked, 12)
    stopped = {task: end for task, end in ends(short).items() if "rule" in end}
    assert stopped, "some task reached the target"
    assert len(stopped) < 6, "some task did not"
    for task, end in stopped.items():
        assert end["rule"] == "speedup"
        assert float(str(end["saw"])) >= 1.3
        assert asked[task] < 12
    kept = asks(whole)
    assert all(ask in kept for ask in asks(short)), "the same attempts, fewer of them"


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("method", ["best_of_n", "metr"])
def test_workers_do_not_change_when_a_rule_stops(
    method: str, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (
        "CONFIG_BUDGET_STOP_PATIENCE=4", "CONFIG_BUDGET_STOP_SPEEDUP_PERCENT=160",
        f"CONFIG_SEARCH_WINDOW={window}",
    )  # fmt: skip
    found = []
    for workers in (1, 8):
        if workers > 1:
            monkeypatch.setattr(sim, "Sim", Dawdling)
        lab = world(tmp_path / str(workers), method, "none", SIX, "CONFIG_BUDGET=12")
        events = lab.done(*rules, workers=workers)
        found.append((lab.digest(), ends(events)))
    assert found[0] == found[1]
    assert {end.get("rule") for end in found[0][1].values()} & {"idle", "speedup"}


def test_an_eased_rule_goes_on_where_the_task_was(tmp_path: Path) -> None:
    lab = world(tmp_path / "eased", "metr", "none", SIX, "CONFIG_BUDGET=10")
    whole = world(tmp_path / "whole", "metr", "none", SIX, "CONFIG_BUDGET=10").done()
    strict = "CONFIG_BUDGET_STOP_SPEEDUP_PERCENT=110"
    first = lab.done(strict)
    assert cell_state.finished_tasks(lab.dir / "ledger.jsonl", lab.cell(strict).values) == set(
        counts(first)
    )
    again = lab.done(strict)
    assert again == first, "the same rule repeats nothing"
    assert cell_state.finished_tasks(lab.dir / "ledger.jsonl", lab.cell().values) < set(
        counts(first)
    )
    second = lab.done()

    def ordered(events: list[Event]) -> list[tuple[str, int, str]]:
        return sorted((a["task"], a["ordinal"], a["request"]) for a in asks(events))

    assert ordered(second) == ordered(whole)
    assert not any("rule" in end for end in ends(second).values())


def test_a_hard_money_cap_and_a_rule_say_which_of_them_ended_a_task(tmp_path: Path) -> None:
    lab = world(tmp_path, "refine", "none", SIX, "CONFIG_BUDGET=40")
    events = lab.done("CONFIG_BUDGET_CENTS=12", "CONFIG_BUDGET_STOP_PATIENCE=6")
    whys = {str(end["why"]) for end in ends(events).values()}
    assert any("usd of the task capped" in why for why in whys), whys
    spent = Counter[str]()
    for event in events:
        if event.kind == "call":
            spent[str(event.task)] += event.data["usage"]["cost_usd"]
    # The dearest reply so far is reserved, and one reply may cost somewhat more than that.
    assert all(one < 0.02 + 0.01 for one in spent.values())
