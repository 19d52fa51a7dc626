# SPDX-License-Identifier: Apache-2.0
"""What every method must keep to when the whole engine runs it, on the simulated suite.

Kconfig names the methods: a new one is tested without being listed here. The clock of the
simulated world is seeded, so ledgers must agree in their timings as well.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from sim_world import (
    Always,
    Counting,
    Dawdling,
    Never,
    World,
    asks,
    methods,
    resumed_everywhere,
    strict,
    world,
)

from kernelcoder import config, registry
from kernelcoder.ledger import Event
from kernelcoder.models import sim
from kernelcoder.records import Reply, Request
from kernelcoder.report import source
from kernelcoder.report.curves import curve

METHODS = methods()


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def early(method: str) -> list[str]:
    """Settings by which a method gets past its first phase within a few attempts: two drafts,
    where it has an option that counts them."""
    own = f"METHOD_{method.upper()}_"
    return [
        f"CONFIG_{name}=2"
        for name, option in config.options().items()
        if name.startswith(own) and option.kind == "int" and name.endswith("_DRAFTS")
    ]


def made(folder: Path, method: str, *more: str) -> World:
    wanted = ("CONFIG_SUITE_SIM_COUNT=2", "CONFIG_BUDGET=10", *more)
    return world(folder, method, "none", *early(method), *wanted)


def test_there_are_methods() -> None:
    assert {"base", "best_of_n", "refine", "scs", "metr"} <= set(METHODS)


def same_for_workers(
    method: str,
    window: int,
    counts: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledgers of runs with so many workers are one, and no attempt saw more than it may."""
    found = set()
    for workers in counts:
        if workers > 1:
            monkeypatch.setattr(sim, "Sim", Dawdling)
        lab = made(tmp_path / str(workers), method, f"CONFIG_SEARCH_WINDOW={window}")
        events = lab.done(workers=workers)
        found.add((lab.digest(), strict(events)))
        for ask in asks(events):
            visible = ask["ordinal"] - ask["window"]
            seen = ask["proposal"]["parents"] + ask["proposal"]["shown"]
            assert all(0 <= one <= visible for one in seen)
    assert len(found) == 1


def test_the_number_of_workers_changes_nothing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_for_workers(method, 3, (1, 8), tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 3, 8])
def test_whatever_the_number_of_workers(
    method: str, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_for_workers(method, window, (1, 2, 5, 8), tmp_path, monkeypatch)


def test_killed_after_some_events_it_ends_the_same(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", Counting)
    lab = made(tmp_path, method, "CONFIG_SEARCH_WINDOW=2")
    wanted = strict(lab.done())
    total = len(lab.events())
    some = random.Random(method).sample(range(1, total), min(4, total - 1))
    resumed_everywhere(lab, sorted(some), wanted)


@pytest.mark.slow
def test_killed_after_every_event_it_ends_the_same(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", Counting)
    lab = made(tmp_path, method, "CONFIG_SUITE_SIM_COUNT=1", "CONFIG_BUDGET=7")
    wanted = strict(lab.done())
    resumed_everywhere(lab, list(range(1, len(lab.events()))), wanted)


def test_raising_the_budget_goes_on_with_the_same_search(method: str, tmp_path: Path) -> None:
    less, whole = made(tmp_path / "raised", method), made(tmp_path / "whole", method)
    anytime = bool(registry.module("METHOD", method).anytime)
    assert (less.cell("CONFIG_BUDGET=5").id == less.cell("CONFIG_BUDGET=9").id) == anytime
    if not anytime:
        return
    first = asks(less.done("CONFIG_BUDGET=5"))
    raised, direct = less.done("CONFIG_BUDGET=9"), whole.done("CONFIG_BUDGET=9")
    chosen = [
        {event.task: event.data["chosen"] for event in events if event.kind == "select"}
        for events in (raised, direct)
    ]
    assert chosen[0] == chosen[1]

    def key(ask: dict[str, Any]) -> tuple[str, int]:
        return ask["task"], ask["ordinal"]

    every = sorted(asks(raised), key=key)
    assert every == sorted(asks(direct), key=key)
    assert [one for one in first if one not in every] == []


@pytest.mark.parametrize(("model", "right"), [(Never, False), (Always, True)])
def test_nothing_right_and_everything_right(
    method: str,
    model: Any,
    right: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sim, "Sim", model)
    events = made(tmp_path, method, "CONFIG_SEARCH_WINDOW=2", "CONFIG_SUITE_SIM_COUNT=1").done()
    statuses = Counter(
        event.data["verdict"]["status"] for event in events if event.kind == "verdict"
    )
    assert (statuses["verified"] == statuses.total()) == right
    assert bool(statuses["verified"]) == right


def test_the_best_so_far_never_gets_worse_and_nothing_draws_from_the_global_generator(
    method: str, tmp_path: Path
) -> None:
    lab = made(tmp_path, method)
    random.seed(4)
    state = random.getstate()
    lab.done(workers=1)
    assert random.getstate() == state
    for line in (lab.dir / "ledger.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    run = source.load(lab.dir)
    for axis in ("attempts", "tokens", "cost", "seconds"):
        found = curve(run, axis)
        assert found.points, found.unknown
        for column in (1, 2):
            rising = [point[column] for point in found.points]
            assert all(a <= b + 1e-12 for a, b in zip(rising, rising[1:], strict=False))


class Costly(sim.Sim):
    """One reply in three costs a hundred times as much as those before it led to expect."""

    def complete(self, request: Request) -> Reply:
        reply = super().complete(request)
        much = 1 if int(request.key[:2], 16) % 3 else 100
        given = much * (reply.usage.input_tokens or 0)
        usage = dataclasses.replace(reply.usage, cost_usd=0.002 * much, input_tokens=given)
        return dataclasses.replace(reply, usage=usage)


class Unknown(sim.Sim):
    """Nobody says what a reply cost, nor how long its question was."""

    def complete(self, request: Request) -> Reply:
        reply = super().complete(request)
        usage = dataclasses.replace(reply.usage, cost_usd=None, input_tokens=None)
        return dataclasses.replace(reply, usage=usage)


@pytest.mark.parametrize(("model", "window"), [(Costly, 3), (Unknown, 1)])
def test_a_money_cap_holds_whatever_replies_cost(
    method: str,
    model: Any,
    window: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reply may cost more than its estimate; then nothing more is asked for. So a task spends its
    share and at most what was under way when the share was used up: a window of replies."""
    monkeypatch.setattr(sim, "Sim", model)
    lab = made(tmp_path, method, f"CONFIG_SEARCH_WINDOW={window}", "CONFIG_BUDGET_CENTS=60")
    events = lab.done()
    limit = 0.30  # dollars of each of the two tasks
    for task, used in costs(events).items():
        ended = ends(events)[task]
        if None in used:
            assert len(used) <= window, "an unknown price under a cap admits nothing more"
            assert "unknown" in ended or len(used) < window or ended == "stop"
            continue
        before = [sum(used[: max(0, at - window + 1)]) for at in range(len(used))]
        assert all(spent <= limit for spent in before)
        assert "capped" in ended or ended == "stop" or sum(used) <= limit


def ends(events: list[Event]) -> dict[str, str]:
    """Why each task ended."""
    return {
        str(event.task): str(event.data["why"])
        for event in events
        if event.kind == "control" and event.data["op"] == "task_end"
    }


def costs(events: list[Event]) -> dict[str, list[Any]]:
    """Dollars of every attempt of each task, its steps included, in order of the ordinals."""
    found: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if "usage" in event.data and event.ordinal is not None:
            found[str(event.task)][event.ordinal].append(event.data["usage"]["cost_usd"])
    return {
        task: [None if None in each else sum(each) for _, each in sorted(attempts.items())]
        for task, attempts in found.items()
    }


@pytest.mark.parametrize("model", [Costly, pytest.param(Unknown, marks=pytest.mark.slow)])
def test_a_token_cap_holds_whatever_replies_are(
    method: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", model)
    events = made(tmp_path, method, "CONFIG_BUDGET_TOKENS_THOUSANDS=40").done()
    calls: Counter[str] = Counter()
    used: Counter[str] = Counter()
    for event in events:
        if event.kind == "call":
            usage, task = event.data["usage"], str(event.task)
            assert used[task] <= 20_000, "asked for although the share was used up"
            calls[task] += 1
            used[task] += (usage["input_tokens"] or 0) + usage["output_tokens"]
            if usage["input_tokens"] is None:
                used[task] += 4096  # what was reserved for the reply at least
    assert "sim/reduce-000" in calls
    assert max(calls.values()) < 10 or registry.module("METHOD", method).__name__.endswith("base")
