# SPDX-License-Identifier: Apache-2.0
"""A router in a cell: the same ledger for any number of workers, after a kill, with a dead arm."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, POOL, ToldVerifier
from routed_cell import DEFAULT, RoutedCell, arms_of, dead, scripted

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Unreachable
from kernelcoder.io import IO
from kernelcoder.ledger import Ledger
from kernelcoder.methods import best_of_n
from kernelcoder.records import Message
from kernelcoder.report import routers
from kernelcoder.routing import cascade, fixed, lints, uniform
from kernelcoder.routing.features import NAMES
from kernelcoder.steps import Work


def digest(ledger: Ledger) -> str:
    return content_digest(ledger.events)


def calls(cell: RoutedCell) -> dict[str, int]:
    return {name: sum(model.calls.values()) for name, model in cell.models.items()}


def test_each_attempt_is_written_by_the_arm_that_was_chosen(tmp_path: Path) -> None:
    cell = RoutedCell(tmp_path)
    ledger = cell.run()
    taken = Counter(arms_of(ledger))
    assert calls(cell) == taken and sum(taken.values()) == 12
    for event in ledger.events:
        if event.kind == "ask":
            route = event.data["route"]
            assert len(route["features"]) == len(NAMES)
            assert min(route["propensities"].values()) >= 0.05
            assert event.data["proposal"]["step"] == "one_shot"
    for one in ledgers.attempts(ledger.events, "core/relu", ledger.dir):
        assert one.candidate is not None
        assert f"// {one.proposal.arm.partition('/')[0]} " in one.candidate.source


def test_a_better_arm_is_found_and_known_on_the_next_task(tmp_path: Path) -> None:
    ledger = RoutedCell(tmp_path, budget=16).run(POOL[:3])
    taken = arms_of(ledger)
    assert Counter(taken[:4]) == {"bad": 2, "good": 2}
    assert Counter(taken[16:])["good"] > 0.7 * 32
    learnt = [event.data for event in ledger.events if event.kind == "learn"]
    assert [one["of"] for one in learnt] == ["router"] * 3


@pytest.mark.parametrize("router", [lints, uniform, cascade])
def test_workers_do_not_change_the_choices(tmp_path: Path, router: Any) -> None:
    options = {"lints": DEFAULT, "cascade": cascade.Options(2, "any", 50)}
    found = set()
    for workers in (1, 8):
        models = {"bad": scripted(0.1, "bad"), "good": scripted(0.9, "good")}
        for model in models.values():
            model.dawdle_s = 0.004
        chosen = options.get(router.__name__.rpartition(".")[2], uniform.Options())
        cell = RoutedCell(tmp_path / str(workers), router, chosen, models, window=4)
        cell.workers, cell.verifier = workers, ToldVerifier(0.004)
        found.add(digest(cell.run()))
    assert len(found) == 1


def test_a_method_that_never_looks_waits_for_a_router_that_does(tmp_path: Path) -> None:
    drafts = {"policy": best_of_n, "policy_options": best_of_n.Options(False)}
    looking = RoutedCell(tmp_path / "lints", **drafts)
    blind = RoutedCell(tmp_path / "uniform", uniform, uniform.Options(), **drafts)
    windows = [
        {event.data["window"] for event in cell.run().events if event.kind == "ask"}
        for cell in (looking, blind)
    ]
    assert windows == [{1}, {1024}]


def test_killed_at_every_event_it_chooses_the_same_again(tmp_path: Path) -> None:
    caps = Caps(tokens=20_000)  # so that the price of an arm is part of the state

    def cell_in(folder: Path) -> RoutedCell:
        models = {"bad": scripted(0.1, "bad", 400), "good": scripted(0.9, "good", 1200)}
        return RoutedCell(folder, models=models, budget=6, caps=caps)

    whole = cell_in(tmp_path / "whole")
    path = whole.run(POOL[:2]).dir / "ledger.jsonl"
    lines, wanted = path.read_text().splitlines(keepends=True), digest_of(path)
    assert sum(calls(whole).values()) == 12
    for cut in range(2, len(lines), 5):
        folder = tmp_path / str(cut)
        (folder / CELL).mkdir(parents=True)
        (folder / CELL / "ledger.jsonl").write_text("".join(lines[:cut]))
        (folder / CELL / "blobs").symlink_to(path.parent / "blobs")
        cell = cell_in(folder)
        assert digest(cell.run(POOL[:2])) == wanted, f"cut after {cut} events"
        recorded = sum('"kind":"call"' in line for line in lines[:cut])
        assert sum(calls(cell).values()) == 12 - recorded


def digest_of(path: Path) -> str:
    return content_digest(ledgers.read(path))


def test_a_dead_arm_ends_the_run_and_no_attempt_is_lost(tmp_path: Path) -> None:
    models = {"bad": dead(scripted(0.1, "bad")), "good": scripted(0.9, "good")}
    cell = RoutedCell(tmp_path, cascade, cascade.Options(3, "any", 0), models)
    with pytest.raises(Unreachable, match="no route to host"):
        cell.run()
    path = tmp_path / CELL / "ledger.jsonl"
    assert [event.kind for event in ledgers.read(path)] == ["control", "control", "ask"]
    models["bad"].failures = []  # the server is back
    assert len(ledgers.attempts(cell.run().events, "core/relu", path.parent)) == 12


def test_with_transport_the_next_arm_answers_and_the_ledger_says_so(tmp_path: Path) -> None:
    models = {"bad": dead(scripted(0.1, "bad")), "good": scripted(0.9, "good")}
    cell = RoutedCell(tmp_path, cascade, cascade.Options(3, "transport", 0), models, budget=5)
    ledger = cell.run()
    assert arms_of(ledger) == ["bad", "good", "good", "good", "good"]
    told = [event.data for event in ledger.events if event.kind == "call"]
    assert told[0]["arm"] == "good/one_shot" and told[0]["unreachable"] == ["bad/one_shot"]
    assert "no route to host" in told[0]["why"] and told[0]["served"] == "scripted"
    assert all("unreachable" not in one for one in told[1:])
    assert calls(cell) == {"bad": 0, "good": 5}
    # What the silent arm was to be asked has no recording under its name.
    ask = next(event.data for event in ledger.events if event.kind == "ask")
    setting = cell.setting()
    assert setting.recordings.lookup(ask["request"]) is None
    assert setting.recordings.lookup(told[0]["answered"]) is not None
    found = routers.summary(ledger.dir)
    assert found is not None and found.unreachable == 1 and found.decisions == 4
    assert found.arms["good/one_shot"].answered == 5
    assert digest(cell.run()) == digest(ledger)


def test_questions_of_a_recipe_fall_to_the_next_arm_too(tmp_path: Path) -> None:
    class Asking:
        """A step recipe that asks one question first."""

        calls = 1

        @staticmethod
        def prepare(work: Work, io: IO, options: object) -> Work:
            io.ask("plan", [Message("user", f"What of {work.task.id}?")])
            return work

    class Cell(RoutedCell):
        def setting(self) -> Any:
            recipes = {"one_shot": (Asking, None)}
            return dataclasses.replace(super().setting(), recipes=recipes)

    def cell() -> RoutedCell:
        models = {"bad": dead(scripted(0.1, "bad")), "good": scripted(0.9, "good")}
        return Cell(tmp_path, cascade, cascade.Options(3, "transport", 0), models, budget=3)

    ledger = cell().run()
    told = [event.data for event in ledger.events if event.kind in ("step", "call")]
    assert [("unreachable" in one) for one in told] == [True, True, False, False, False, False]
    wanted = digest(ledger)
    path = ledger.dir / "ledger.jsonl"
    first = next(place for place, event in enumerate(ledger.events) if event.kind == "call")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:first]))  # after the step
    again = cell()
    assert digest(again.run()) == wanted and calls(again)["good"] == 0  # all was recorded


def test_where_every_arm_is_dead_the_cell_waits(tmp_path: Path) -> None:
    models = {"bad": dead(scripted(0.1, "bad")), "good": dead(scripted(0.9, "good"))}
    cell = RoutedCell(tmp_path, cascade, cascade.Options(3, "transport", 0), models)
    with pytest.raises(Unreachable):
        cell.run()
    assert not [e for e in ledgers.read(tmp_path / CELL / "ledger.jsonl") if e.kind == "call"]


def test_a_dear_arm_is_left_under_a_cap(tmp_path: Path) -> None:
    def share(tokens: int, caps: Caps) -> float:
        models = {"cheap": scripted(0.5, "cheap", 10), "dear": scripted(0.7, "dear", tokens)}
        cell = RoutedCell(tmp_path / f"{tokens}{caps.tokens}", models=models, budget=20, caps=caps)
        taken = arms_of(cell.run(POOL[:2]))[20:]
        return taken.count("dear") / len(taken)

    assert share(400, Caps()) > share(400, Caps(tokens=20 * 500))


def test_what_the_command_says_can_be_counted(tmp_path: Path) -> None:
    ledger = RoutedCell(tmp_path, uniform, uniform.Options(), budget=10).run(POOL[:3])
    found = routers.summary(ledger.dir)
    assert found is not None and found.router == "uniform"
    assert (found.decisions, found.tasks, found.unreachable) == (30, 3, 0)
    taken = Counter(arms_of(ledger))
    assert {name: arm.chosen for name, arm in found.arms.items()} == {
        "bad/one_shot": taken["bad"],
        "good/one_shot": taken["good"],
    }
    best = found.estimates["always good/one_shot"].snips or 0.0
    assert best > (found.estimates["always bad/one_shot"].snips or 0.0)
    # With equal chances SNIPS of an arm is the plain mean of its rewards.
    assert best == pytest.approx(found.arms["good/one_shot"].reward)


def test_the_fixed_router_is_the_first_arm(tmp_path: Path) -> None:
    cell = RoutedCell(tmp_path, fixed, fixed.Options())
    assert set(arms_of(cell.run())) == {"bad"}
    found = routers.summary(tmp_path / CELL)
    assert found is not None and found.estimates["always good/one_shot"].ips is None
