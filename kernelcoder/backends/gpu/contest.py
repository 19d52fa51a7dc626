# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a timing on a device, which they have to themselves meanwhile.

A candidate, the reference solution and a kernel that does nothing run in children of slots of their
own; eager and compiled PyTorch, where it has CUDA, in the baseline process.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from kernelcoder.backends.gpu.arena import NULL, GpuArena
from kernelcoder.backends.gpu.devices import Device
from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.verify import VerifyOptions, deaths
from kernelcoder.verify.arena import SLOW_NS, Contestant, Unfair
from kernelcoder.verify.baselines import Baselines
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.compile import Built
from kernelcoder.verify.contest import _SEATS, Contest, _Entry, _tried
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.slots import Child, Died, Slot, TimedOut
from kernelcoder.verify.totals import regime

# Calls per batch: enough to be longer than what two tokens cost, few enough to hold in memory.
CALLS = {"hot": 32, "cold": 4}
_NULL_WINDOWS = 5
_EXTENSIONS = 8  # as in verify/service.py
_WORKER = "kernelcoder.backends.gpu.baseline_worker"
_WINDOW_SECONDS = 60.0


class GpuBaselines(Baselines):
    """The baseline process on the device. ``flush``: before each call its caches are emptied."""

    flush = False

    def window(self, name: str, task: str, kind: str, count: int) -> int:
        """As of any baseline; wall time, without what an empty batch costs it."""
        message = {"op": "window", "region": name, "task": task, "kind": kind, "count": count}
        asked = self._ask(message | {"flush": self.flush}, seconds=_WINDOW_SECONDS)
        return int(asked["charged_ns"])


class DeviceBuilder(Builder, Protocol):
    """A builder whose slots have a device. ``variables`` are of the environment of whoever uses
    it."""

    device: Device
    lease: Lease
    variables: dict[str, str]

    def timing_slot(self) -> Slot:
        """A slot for who holds the device alone."""
        ...


class GpuContest(Contest):
    """As the processor's; while anybody is in, nobody else checks or measures on the device."""

    def __init__(self, options: VerifyOptions, cache: Path, builder: DeviceBuilder) -> None:
        super().__init__(options, cache, builder)
        self._gpu = builder
        self._process = GpuBaselines(cache, 1, program=_WORKER, more=builder.variables)
        self._differ: dict[str, str] = {}

    def notes(self, benches: Sequence[Bench]) -> tuple[str, ...]:
        """How the numbers were made, and what is missing or odd."""
        how = (
            f"wall time on {self._gpu.device.name}, interleaved rounds, fresh inputs per call,"
            " empty batches subtracted; caches emptied before each call of cold cases only"
        )
        names = {bench.name for bench in benches}
        odd = [text for name, text in self._differ.items() if name in names and text]
        return (how, *super().notes(benches)[1:], *odd)

    def precompile(self, bench: Bench) -> None:
        """Nothing: compiling would use the device that others are measured on."""

    def _slot(self, name: str, fresh: bool) -> Slot:
        if name not in self._slots:
            self._slots[name] = self._gpu.timing_slot()
        return self._slots[name]

    def _enter(self, entry: _Entry, name: str, built: Built) -> Child:
        """Start one compiled kernel and let it make a call, as often as it comes up with machine
        code of kernels that is not made yet."""
        for _ in range(_EXTENSIONS):
            child = super()._enter(entry, name, built)
            try:
                child.run(0, 1, timeout=float(self._options.timeout_seconds))
            except Died as died:
                extended = self._builder.extend(built, died.exit)
                if extended is None or not extended.ok:
                    raise
                built = extended
                continue
            return child
        raise Unfair(f"{name} asks for ever more kernels", "runtime_error")

    @contextlib.contextmanager
    def enter(
        self,
        bench: Bench,
        contestants: Sequence[Contestant],
        baselines: Sequence[str],
        fresh: bool = False,
        swapped: bool = False,
    ) -> Iterator[GpuArena]:
        """As on the processor. Where PyTorch has no CUDA, the reference solution stands in for a
        baseline that is missing."""
        entry = _Entry(bench, {}, fresh, _SEATS[swapped], self._limits(-1))
        flush = regime(bench.case) == "cold"
        assert isinstance(self._process, GpuBaselines)
        self._process.flush = flush
        with self._gpu.lease.alone():
            present = [
                kind for kind in baselines if kind != "reference" and self._ready(bench, kind)
            ]
            try:
                for contestant in contestants:
                    self._enter(entry, contestant.name, contestant.built)
                first = entry.children[contestants[0].name]
                trials = _tried(first, float(self._options.timeout_seconds))
                if "reference" in baselines or not present:
                    self._enter_reference(entry)
                self._enter(entry, NULL, self._builder.build(self._builder.null))
                slow = min(trial.wall_ns for trial in trials) > SLOW_NS
                arena = GpuArena(
                    bench, entry.children, 0, present, self._process,
                    float(self._options.timeout_seconds), 1 if slow else bench.count, 1,
                    functools.partial(self._lost, bench), flush=flush,
                )  # fmt: skip
                arena.open(random.Random(bench.name), _NULL_WINDOWS)
                yield arena
                self._differ[bench.name] = arena.disagreement()
            except (Died, TimedOut) as end:
                deaths.from_outside(end.exit)
                what = f"it did not survive being started for timing: {end}"
                raise Unfair(what, "crashed") from end
            finally:
                for child in entry.children.values():
                    child.finish()
