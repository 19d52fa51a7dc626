# SPDX-License-Identifier: Apache-2.0
"""The simulated world for tests: exact chances by enumeration, and whole benches in this process.

Nothing here knows which methods or memories there are: Kconfig names them.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from benchmarks import sim
from kernelcoder import config, matrix, registry
from kernelcoder import ledger as ledgers
from kernelcoder.backends.sim import error
from kernelcoder.contents import content_digest
from kernelcoder.ledger import Event, canonical
from kernelcoder.matrix import Cell
from kernelcoder.models.sim import Profile, Sim
from kernelcoder.progress import Progress
from kernelcoder.records import Reply, Request, sha256
from kernelcoder.runner import Outcome, Runner
from kernelcoder.simulation.form import BUGS, OPTIONS, SLOTS, Kernel, parse, render
from kernelcoder.simulation.landscape import everything, landscape

BASE = (
    "CONFIG_METHOD_BASE=n",
    "CONFIG_MODEL_RECIPE=n", "CONFIG_MODEL_SIM=y",
    "CONFIG_BACKEND_CPU=n", "CONFIG_BACKEND_SIM=y",
    "CONFIG_SUITE_CORE=n", "CONFIG_SUITE_SIM=y",
)  # fmt: skip


def methods() -> list[str]:
    """Every search method there is."""
    return registry.members("METHOD", config.options())


def memories() -> list[str]:
    """Every memory there is."""
    return registry.members("MEMORY", config.options())


def slip_chance(name: str, profile: Profile) -> float:
    """How likely a technique in use has a mistake."""
    return float(sim.load(name).recipe["slips"]) * profile.slip


@functools.cache
def outcomes(name: str, profile: Profile) -> list[tuple[float, float]]:
    """(chance, log search speed) of every right kernel that a draft may be. The search timing of a
    kernel is always the same, so this is exact."""
    land, slip = landscape(name), slip_chance(name, profile)
    found = []
    for choices in everything():
        if land.dead_end(choices) is not None:
            continue
        chance = 1.0 - profile.mute
        for option in choices:
            used = (1.0 - profile.plain) / (OPTIONS - 1) * (1.0 - slip)
            chance *= used if option else profile.plain
        noise = error(name, render(Kernel(choices)), "search")
        found.append((chance, land.log_speed(choices) + noise))
    return found


def right_chance(name: str, profile: Profile) -> float:
    """How likely a draft is right."""
    return math.fsum(chance for chance, _ in outcomes(name, profile))


def best_of(name: str, profile: Profile, k: int) -> float:
    """Expected utility max(0, log speed) of the best of ``k`` drafts; 0 where none is right.

    Sum over the sorted utilities of u (F(u)^k - F(u-)^k), F the distribution of one draft."""
    gains = sorted((max(0.0, log), chance) for chance, log in outcomes(name, profile))
    below = 1.0 - math.fsum(chance for _, chance in gains)
    expected = 0.0
    for gain, chance in gains:
        expected += gain * ((below + chance) ** k - below**k)
        below += chance
    return expected


def all_kernels() -> Iterator[Kernel]:
    """Every kernel without a mistake."""
    return (Kernel(choices) for choices in itertools.product(range(OPTIONS), repeat=len(SLOTS)))


class Dawdling(Sim):
    """The simulated model with latencies that nobody can foresee."""

    def complete(self, request: Request) -> Reply:
        time.sleep(random.SystemRandom().uniform(0.0, 0.002))
        return super().complete(request)


@functools.cache
def _cell(assignments: tuple[str, ...], more: tuple[str, ...]) -> Cell:
    """Reading the options takes as long as a small bench, so each configuration is read once."""
    with tempfile.NamedTemporaryFile("w", suffix=".config") as file:
        file.write("\n".join(assignments) + "\n")
        file.flush()
        (cell,) = matrix.cells(config.load(file.name, more))
    return cell


@dataclass(frozen=True, slots=True)
class World:
    """One cell on its own results folder."""

    folder: Path
    assignments: tuple[str, ...]

    @contextmanager
    def _here(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in [one for one in os.environ if one.startswith(("CONFIG_", "KERNELCODER_"))]:
                patch.delenv(name)
            patch.setenv("KERNELCODER_O", str(self.folder))
            patch.setenv("KERNELCODER_MACHINE", "m")
            yield

    def cell(self, *more: str) -> Cell:
        """The only cell of the configuration."""
        return _cell(self.assignments, more)

    @property
    def dir(self) -> Path:
        """The cell's folder."""
        (found,) = (self.folder / "results" / "m+simulated").glob("*/cell.json")
        return found.parent

    def run(self, *more: str, workers: int = 2) -> Outcome:
        """Run the cell, or what is left of it; an outcome that is not "done" fails the test unless
        it is looked at."""
        cell = self.cell(*more)
        with self._here(), Runner(Progress(io.StringIO(), "eager"), workers) as runner:
            (outcome,) = runner.run([cell])
        return outcome

    def done(self, *more: str, workers: int = 2) -> list[Event]:
        """Run the cell to its end; its events."""
        outcome = self.run(*more, workers=workers)
        assert outcome.state == "done", outcome.note
        return self.events()

    def events(self) -> list[Event]:
        """What the ledger says."""
        return list(ledgers.read(self.dir / "ledger.jsonl"))

    def digest(self) -> str:
        """The content of the ledger, clocks aside."""
        return content_digest(self.events())


def world(folder: Path, method: str = "best_of_n", memory: str = "none", *more: str) -> World:
    """A world with one method and one memory; of two settings of one option the later counts."""
    chosen = [*BASE, f"CONFIG_METHOD_{method.upper()}=y"]
    if memory != "none":
        chosen += ["CONFIG_MEMORY_NONE=n", f"CONFIG_MEMORY_{memory.upper()}=y"]
    last = {one.partition("=")[0]: one for one in (*chosen, *more)}
    return World(folder, tuple(last.values()))


def asks(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was asked, in order of the ledger, with task and ordinal."""
    return [
        {**event.data, "task": event.task, "ordinal": event.ordinal}
        for event in events
        if event.kind == "ask"
    ]


CLOCKS = ("latency_s", "replayed", "pid", "cell")


def strict(events: list[Event]) -> str:
    """Everything in a ledger but when and how it ran, the measured times included."""
    kept = []
    for event in events:
        if event.kind == "control" and event.data["op"] in ("resume", "infra"):
            continue
        data = {name: value for name, value in event.data.items() if name not in CLOCKS}
        kept.append([event.task or "", -1 if event.ordinal is None else event.ordinal, data])
    return sha256(canonical(sorted(kept, key=canonical)))


class Counting(Sim):
    """Counts how often each request is answered, in all of its instances."""

    answered: ClassVar[Counter[str]] = Counter()

    def complete(self, request: Request) -> Reply:
        Counting.answered[request.digest] += 1
        return super().complete(request)


def calls_in(events: list[Event]) -> set[str]:
    """Digests of the requests whose replies a ledger holds."""
    return {event.data["request"] for event in events if "usage" in event.data}


def cut(lab: World, lines: list[bytes], count: int) -> set[str]:
    """Leave the ledger and the recordings as a kill after ``count`` events would; what is known."""
    (lab.dir / "ledger.jsonl").write_bytes(b"".join(lines[:count]))
    known = calls_in(lab.events())
    for path in (lab.folder / "results" / "m" / "calls").glob("*/*.json"):
        if path.stem not in known:
            path.unlink()
    return known


def resumed_everywhere(lab: World, points: list[int], wanted: str) -> None:
    """Cut the ledger at each point and run again: the same ledger, no recorded call repeated."""
    lines = (lab.dir / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    for point in points:
        known = cut(lab, lines, point)
        Counting.answered.clear()
        assert strict(lab.done()) == wanted, f"resumed after event {point}"
        assert not known & set(Counting.answered), f"after event {point} a recorded call was asked"
        assert not [one for one, count in Counting.answered.items() if count > 1]


class Never(Sim):
    """Every kernel has a mistake in each technique, of one kind or another."""

    def complete(self, request: Request) -> Reply:
        reply = super().complete(request)
        kernel = parse(reply.text)
        if kernel is None:
            return reply
        kind = BUGS[int(request.key[:2], 16) % len(BUGS)]
        broken = render(Kernel(kernel.choices, tuple((slot, kind) for slot in SLOTS)))
        return dataclasses.replace(reply, text=f"```sim\n{broken}```\n")


class Always(Sim):
    """Every kernel is right: most choices, no mistake, nothing that cannot run together."""

    def complete(self, request: Request) -> Reply:
        at, option = int(request.key[:4], 16) % len(SLOTS), int(request.key[4:8], 16) % 4
        choices = tuple(option if one == at else 0 for one in range(len(SLOTS)))
        reply = super().complete(request)
        return dataclasses.replace(reply, text=f"```sim\n{render(Kernel(choices))}```\n")
