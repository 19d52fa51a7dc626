# SPDX-License-Identifier: Apache-2.0
"""The allocator headroom: the same total, more where more is to be gained, decided by results."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from doubles import attempt
from sim_world import Counting, Dawdling, World, asks, resumed_everywhere, strict, world

from kernelcoder import config, matrix
from kernelcoder.engine.allocating import HOPE, LEAST, promise
from kernelcoder.models import sim
from kernelcoder.stop_rules import expected_gain

HEADROOM = "CONFIG_ALLOCATOR_HEADROOM=y"


def made(folder: Path, *more: str) -> World:
    wanted = (HEADROOM, "CONFIG_ALLOCATOR_SLICE=2", "CONFIG_SUITE_SIM_COUNT=6", "CONFIG_BUDGET=6")
    return world(folder, "metr", "none", *wanted, *more)


def test_a_promise_is_the_bound_times_what_is_left() -> None:
    assert promise([], "eager", 4) == HOPE
    failed = [attempt(at, "incorrect") for at in range(4)]
    assert promise(failed, "eager", 4) == HOPE / 2, "less, the more came to nothing"
    speeds = [1.0, 1.5, 2.0, 1.2]
    right = [attempt(at, speed=speed) for at, speed in enumerate(speeds)]
    logs = [math.log(speed) for speed in speeds]
    raised = promise(right, "eager", 4) / 4
    assert raised > expected_gain(logs, 4, math.log(2.0)) > 0
    flat = [attempt(at, speed=1.0) for at in range(8)]
    assert promise(flat, "eager", 4) == 0.0
    assert LEAST > 0


def test_the_total_is_that_of_the_even_share_and_its_parts_differ(tmp_path: Path) -> None:
    lab = made(tmp_path)
    events = lab.done()
    counts = Counter(str(ask["task"]) for ask in asks(events))
    assert len(counts) == 6
    assert counts.total() == 36
    assert min(counts.values()) >= 2
    assert len(set(counts.values())) > 1
    whys = {e.data["why"] for e in events if e.kind == "control" and e.data["op"] == "task_end"}
    assert whys == {"allocation"}


@pytest.mark.parametrize("window", [1, 2])
def test_who_gets_what_does_not_depend_on_workers(
    window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for workers in (1, 8):
        if workers > 1:
            monkeypatch.setattr(sim, "Sim", Dawdling)
        lab = made(tmp_path / str(workers), f"CONFIG_SEARCH_WINDOW={window}")
        found.add(strict(lab.done(workers=workers)))
    assert len(found) == 1


def test_a_killed_allocation_decides_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", Counting)
    lab = made(tmp_path, "CONFIG_SUITE_SIM_COUNT=4")
    wanted = strict(lab.done())
    total = len(lab.events())
    resumed_everywhere(lab, [3, total // 3, total // 2, total - 6, total - 1], wanted)
    assert lab.run().note == "was finished before; nothing repeated"


def test_it_is_part_of_the_id_and_of_what_makes_no_sense(tmp_path: Path) -> None:
    even = world(tmp_path, "metr", "none", "CONFIG_BUDGET=6")
    shared = world(tmp_path, "metr", "none", "CONFIG_BUDGET=6", HEADROOM)
    more = world(tmp_path, "metr", "none", "CONFIG_BUDGET=7", HEADROOM)
    assert len({one.cell().id for one in (even, shared, more)}) == 3
    file = tmp_path / "config"
    for setting, reason in (
        ("CONFIG_MEMORY_REASONING_BANK=y", "learn from each other"),
        ("CONFIG_BUDGET_STOP_PATIENCE=4", "switch BUDGET_STOP_* off"),
    ):
        file.write_text("\n".join((*shared.assignments, setting)) + "\n")
        refused = matrix.refused(config.load(file))
        assert any(reason in why for _, why in refused), refused
