# SPDX-License-Identifier: Apache-2.0
"""What every memory must keep to, in streams of simulated tasks. Kconfig names the memories."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from sim_world import (
    Always,
    Counting,
    Dawdling,
    Never,
    World,
    asks,
    memories,
    resumed_everywhere,
    strict,
    world,
)

from benchmarks import sim as suite
from benchmarks import splits
from kernelcoder import ledger as ledgers
from kernelcoder import registry
from kernelcoder.backends.sim import SimVerifier
from kernelcoder.history import random_key, rng_of
from kernelcoder.ledger import Event, canonical
from kernelcoder.memory import ContextItem, Finished, Query, Seed
from kernelcoder.models import sim
from kernelcoder.models.recipe_notes import wishes
from kernelcoder.records import Candidate, Message, Request, Role, Sampling, Verdict
from kernelcoder.simulation.form import SLOTS
from kernelcoder.task import Task

MEMORIES = memories()
TASKS = 'CONFIG_SUITE_SIM_TASKS="reduce-00?,scan-00?"'  # kin follow each other


@pytest.fixture(params=MEMORIES)
def memory(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def module(memory: str) -> ModuleType:
    return registry.module("MEMORY", memory)


def options(memory: str, folder: Path) -> Any:
    return registry.options("MEMORY", memory, made(folder, memory).cell().values)


def made(folder: Path, memory: str, *more: str) -> World:
    wanted = (TASKS, "CONFIG_SUITE_SIM_COUNT=5", "CONFIG_BUDGET=5", *more)
    return world(folder, "refine", memory, *wanted)


class Desk:
    """The outside of a lesson without a ledger: the simulated model and judge answer at once."""

    def __init__(self, key: str, known: Mapping[str, Task]) -> None:
        self._key, self._known, self.asked = key, known, 0

    def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        *,
        temperature: float = 0.7,
        max_tokens: int = 1024,
        data: Mapping[str, Any] | None = None,
        shared: str = "",
    ) -> str:
        self.asked += 1
        key = random_key(shared or self._key, purpose, self.asked)
        sampling = Sampling(temperature, max_tokens, 0)
        request = Request("sim:v1", tuple(messages), sampling, key, role=purpose, recipe=data or {})
        return sim.Sim("v1").complete(request).text

    def verify(self, task: Task, source: str, fresh: str = "") -> Verdict:
        return SimVerifier(2).verify(task, Candidate(source, "sim", "sim"), self._key)

    def task(self, name: str) -> Task | None:
        return self._known.get(name)

    def rng(self, purpose: str) -> random.Random:
        return rng_of(random_key(self._key, purpose, "rng"))


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    """Five finished searches of a cell without a memory."""
    lab = made(tmp_path_factory.mktemp("lessons"), "none", "CONFIG_BUDGET=8")
    events = lab.done()
    found = []
    for event in events:
        if event.kind == "select":
            name = str(event.task)
            tried = ledgers.attempts(events, name, lab.dir)
            found.append(
                Finished(
                    suite.load(name.partition("/")[2]), "sim", "sim", "eager", tuple(tried),
                    event.data["chosen"], lab.dir.name, verify_version="1",
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: one.task.id)


def learnt(memory: str, chosen: Any, stream: Sequence[Finished]) -> Iterator[object]:
    """The snapshots after each task of a stream; what went in is not touched."""
    snapshot: object = None
    known = {one.task.id: one.task for one in stream}
    for place, finished in enumerate(stream):
        before = copy.deepcopy(snapshot)
        desk = Desk(random_key(memory, place), known)
        after = module(memory).observe(snapshot, finished, desk, chosen)
        assert snapshot == before, "a snapshot is a value"
        snapshot = json.loads(canonical(after))
        assert snapshot == after or after is None, "a snapshot is JSON, lists and all"
        yield snapshot


def queries(task: Task, lesson: Finished) -> Iterator[Query]:
    """Questions of every role, with and without attempts to see."""
    for role in get_args(Role):
        for failure, seen in (("", ()), ("incorrect", lesson.attempts)):
            yield Query(task, role, "sim", "sim", failure, random_key(task.id, role), seen)


def provided(memory: str, chosen: Any, snapshot: object, query: Query) -> tuple[ContextItem, ...]:
    return tuple(module(memory).provide(snapshot, query, chosen))


def seeded(memory: str, chosen: Any, snapshot: object, query: Query) -> tuple[Seed, ...]:
    find = getattr(module(memory), "seeds", None)
    return tuple(find(snapshot, query, chosen)) if find else ()


def test_there_are_memories() -> None:
    assert {"none", "placebo", "reasoning_bank", "evol_rule"} <= set(MEMORIES)


def test_a_memory_has_its_parts(memory: str) -> None:
    defaults = (dataclasses.MISSING, dataclasses.MISSING)
    fields = dataclasses.fields(module(memory).Options)
    assert all((field.default, field.default_factory) == defaults for field in fields)
    assert callable(module(memory).provide)
    assert callable(module(memory).observe)
    assert isinstance(getattr(module(memory), "learns", True), bool)


def test_nothing_learnt_yet_is_no_mistake(
    memory: str, tmp_path: Path, lessons: list[Finished]
) -> None:
    chosen = options(memory, tmp_path)
    for query in queries(lessons[0].task, lessons[0]):
        assert all(isinstance(one, ContextItem) for one in provided(memory, chosen, None, query))
        seeded(memory, chosen, None, query)


def test_what_is_provided_is_well_formed_and_always_the_same(
    memory: str, tmp_path: Path, lessons: list[Finished]
) -> None:
    chosen = options(memory, tmp_path)
    known = {one.provenance(attempt) for one in lessons for attempt in one.attempts}
    state = random.getstate()
    shown = 0
    for snapshot in learnt(memory, chosen, lessons):
        for query in queries(suite.load("reduce-009"), lessons[-1]):
            items = provided(memory, chosen, snapshot, query)
            assert items == provided(memory, chosen, copy.deepcopy(snapshot), query)
            assert len({one.id for one in items}) == len(items)
            assert all(one.id and one.text.strip() for one in items)
            assert {place for one in items for place in one.provenance} <= known
            found = seeded(memory, chosen, snapshot, query)
            assert found == seeded(memory, chosen, snapshot, query)
            assert all(one.source.strip() and one.item for one in found)
            shown += len(items) + len(found)
    assert random.getstate() == state
    twice = [list(learnt(memory, chosen, lessons)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert shown or memory in ("none", "cache", "skills"), "it showed what it had learnt"


def test_the_same_task_again_and_again(
    memory: str, tmp_path: Path, lessons: list[Finished]
) -> None:
    chosen = options(memory, tmp_path)
    snapshots = list(learnt(memory, chosen, [lessons[0]] * 4))
    for query in queries(lessons[0].task, lessons[0]):
        provided(memory, chosen, snapshots[-1], query)


def test_no_item_comes_from_the_task_it_is_shown_on(
    memory: str, tmp_path: Path, lessons: list[Finished]
) -> None:
    """A memory that may show a task its own lessons says so with ``OWN_TASK``."""
    if getattr(module(memory), "OWN_TASK", False):
        return
    chosen = options(memory, tmp_path)
    (*_, snapshot) = learnt(memory, chosen, lessons)
    for lesson in lessons:
        own = {lesson.provenance(attempt) for attempt in lesson.attempts}
        for query in queries(lesson.task, lesson):
            items = provided(memory, chosen, snapshot, query)
            assert not own & {place for one in items for place in one.provenance}


def test_a_placebo_says_nothing_of_kernels(tmp_path: Path, lessons: list[Finished]) -> None:
    chosen = options("placebo", tmp_path)
    shown = 0
    for snapshot in learnt("placebo", chosen, lessons):
        for query in queries(suite.load("reduce-009"), lessons[-1]):
            for item in provided("placebo", chosen, snapshot, query):
                shown += 1
                assert not wishes(item.text)
                assert not set(SLOTS) & set(item.text.replace(".", "").split())
    assert shown


@pytest.mark.parametrize("window", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_stream_is_the_same_for_any_workers(
    memory: str, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers in (1, 8):
        if workers > 1:
            monkeypatch.setattr(sim, "Sim", Dawdling)
        lab = made(tmp_path / str(workers), memory, f"CONFIG_SEARCH_WINDOW={window}")
        events = lab.done(workers=workers)
        found.append(without_names(strict(events), lab))
    assert found[0] == found[1]


def without_names(digest: str, lab: World) -> tuple[str, list[str]]:
    """The ledger's content and the snapshots in it, which name the cell in their provenance."""
    return digest, [str(event.data["snapshot"]) for event in lab.events() if event.kind == "learn"]


def test_killed_while_learning_it_goes_on_and_pays_nothing_twice(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", Counting)
    lab = made(tmp_path, memory, "CONFIG_SUITE_SIM_COUNT=3")
    wanted = strict(lab.done())
    events = lab.events()
    lessons = [one.seq for one in events if one.kind == "learn" or lesson(one)]
    some = random.Random(memory).sample(range(1, len(events)), 2)
    points = {*some, *random.Random(memory).sample(lessons, min(3, len(lessons)))} - {0}
    resumed_everywhere(lab, sorted(points), wanted)


@pytest.mark.slow
def test_killed_at_every_lesson(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", Counting)
    lab = made(tmp_path, memory, "CONFIG_SUITE_SIM_COUNT=4")
    wanted = strict(lab.done())
    events = lab.events()
    lessons = [one.seq for one in events if one.kind == "learn" or lesson(one)]
    resumed_everywhere(lab, sorted({*lessons, *(one + 1 for one in lessons)} - {0}), wanted)


def lesson(event: Event) -> bool:
    """Whether an event is a step on the way to a lesson."""
    return event.kind == "step" and event.ordinal is None


@pytest.mark.parametrize("model", [Never, Always])
def test_streams_in_which_nothing_or_everything_is_right(
    memory: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "Sim", model)
    made(tmp_path, memory, "CONFIG_SUITE_SIM_COUNT=3").done()


def test_what_is_held_out_teaches_nothing(memory: str, tmp_path: Path) -> None:
    lab = made(tmp_path, memory, "CONFIG_STREAM_SPLIT=y", 'CONFIG_SUITE_SIM_TASKS="*-000"')
    lab = dataclasses.replace(
        lab, assignments=tuple(one.replace("COUNT=5", "COUNT=6") for one in lab.assignments)
    )
    events = lab.done()
    parts = splits.load("sim").of(task for task in {str(one.task) for one in events if one.task})
    held_out = {f"sim/{name}" for name in parts.evaluate}
    assert len(held_out) == 2
    taught = {str(event.data["after"]) for event in events if event.kind == "learn"}
    assert not taught & held_out
    order = [event.task for event in events if event.kind == "select"]
    if getattr(module(memory), "learns", True):
        assert set(order[-2:]) == held_out
        assert len(taught) == 4


def test_withheld_items_are_recorded_and_shown_nowhere(memory: str, tmp_path: Path) -> None:
    lab = made(tmp_path, memory, "CONFIG_STREAM_WITHHOLD_PERCENT=60")
    shown = withheld = 0
    for ask in asks(lab.done()):
        if ask["proposal"]["given"]:
            continue  # nobody was asked
        prompt = ledgers.read_blob(lab.dir, ask["prompt"])
        for item in ask["context"]:
            name = item.removeprefix("withheld:")
            assert (f"[{name}]" in prompt) == (name == item)
            shown, withheld = shown + (name == item), withheld + (name != item)
    assert (shown > 0) == (withheld > 0)
