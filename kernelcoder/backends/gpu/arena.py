# SPDX-License-Identifier: Apache-2.0
"""The rounds of a timing on a device: everyone once over the same inputs, by the judge's clock.

A child brings a batch's inputs to the device, says so, and the clock runs from the judge's word to
the child's: until the device has finished all calls. What a batch costs besides its kernels (the
two tokens, emptying the caches before each call) is what it costs a kernel that does nothing, which
takes part in every round in a child of our own; the median of its windows is subtracted.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from kernelcoder.backends.gpu.slots import GpuChild, Staging
from kernelcoder.verify.arena import SLOW_NS, Arena, Times, Unfair
from kernelcoder.verify.slots import Child, Died, SlotError, TimedOut, Window

NULL = "null"
# No launch is cheaper than this, whatever is subtracted: nanoseconds.
_LEAST_NS = 500
# Bringing inputs or outputs may take so much longer than for a kernel that does nothing, in
# nanoseconds and as a share of the time charged: work done there is outside of the clock. A busy
# machine delays anybody, so who seems late is looked at again, in so many more rounds so often.
_SLOW_STAGING_NS, _SHARE = 200_000, 0.1
_ROUNDS_AGAIN, _LOOKS, _FEWEST = 6, 3, 4
# The device's own events and the judge's clock may differ by this much before it is said.
_EVENTS_DIFFER = 0.1


@dataclass(slots=True)
class GpuArena(Arena):
    """Its ``children`` hold a kernel that does nothing under the name ``null``; ``flush``: the
    device's caches are emptied before each call."""

    flush: bool = False
    _empty: list[int] = field(default_factory=list)  # ns per batch of ``count`` calls
    _staged: dict[str, list[Staging]] = field(default_factory=dict)
    _charged: list[int] = field(default_factory=list)  # the candidate's, per batch
    _stale: bool = False  # batches have become longer: what was seen before is no measure any more

    def open(self, rng: random.Random, windows: int) -> None:
        """Bring in the kernel that does nothing, before anybody is measured against it."""
        for _ in range(windows):
            self._nothing(rng)
        self._staged.clear()  # steps are compared with those of the same rounds

    @property
    def empty_ns(self) -> int:
        """What a batch costs without its kernels."""
        return int(statistics.median(self._empty))

    def round(self, rng: random.Random) -> list[Times]:
        """Wall seconds per call of every contestant, without what an empty batch costs."""
        if self._stale:
            self._stale = False
            self._empty.clear()
            self._staged.clear()
            self._charged.clear()
            self.open(rng, 1)
        return [
            {name: spent for name, spent in times.items() if name != NULL}
            for times in super(GpuArena, self).round(rng)
        ]

    def _once(self, name: str, rng: random.Random) -> list[float]:
        if name == NULL:
            return [self._nothing(rng) * 1e-9]
        if name not in self.children:
            return super(GpuArena, self)._once(name, rng)
        (raw,) = self._native(name, rng, self.bench.refresh)
        count = self._count(name)
        charged = max(raw - self.empty_ns, _LEAST_NS * count)
        if name == "candidate":
            self._charged.append(charged)
        return [charged * 1e-9 / count]

    def _nothing(self, rng: random.Random) -> int:
        """One window of the kernel that does nothing, with all that is done around any other."""
        count = self._count(NULL)
        first = rng.randrange(self.bench.count - count + 1)
        batch = self._between("reference", rng, self.bench.refresh, first, count)
        try:
            window, _ = self._run(self.children[NULL], first, count, batch)
        except (Died, TimedOut) as end:
            raise SlotError(f"a kernel that does nothing ended: {end}") from end
        batch(self.parts)
        self._empty.append(window.wall_ns)
        return window.wall_ns

    def _count(self, name: str) -> int:
        return self.count  # everybody's, for the same is subtracted from all

    def _run(
        self, child: Child, first: int, count: int, batch: Callable[[int], None]
    ) -> tuple[Window, tuple[int, ...]]:
        assert isinstance(child, GpuChild)
        child.flush = self.flush
        window = child.run(first, count, timeout=self.timeout, prepare=lambda: batch(0))
        for name, one in self.children.items():
            if one is child:
                self._staged.setdefault(name, []).append(child.staging)
        return window, window.parts_ns

    def _lengthen(self, batch_ns: int, count: int) -> None:
        """All calls in a batch for a candidate that was slow at first only."""
        if count < self.bench.count and batch_ns < SLOW_NS // 2:
            self.count = self.bench.count
            self.restarts += 1
            self._stale = True

    def fair(self) -> None:
        """Raise Unfair if the candidate usually works while its inputs come or its outputs go."""
        rng, late = random.Random(), self._late()
        for _ in range(_LOOKS - 1):
            if not late:
                return
            self._staged.clear()
            for _ in range(_ROUNDS_AGAIN):
                self.round(rng)
            late = late if self._late()[:1] == late[:1] else ()
        if late:
            raise Unfair(
                f"{late[0]} usually takes {late[1] / 1000:.0f} us longer than for a kernel that"
                " does nothing: it works where no clock runs",
                "cheating",
            )

    def _late(self) -> tuple[str, float] | tuple[()]:
        """The step in which the candidate's median is beyond three quarters of what is seen of a
        kernel that does nothing, and by how much: a score is a median too, so who does it less
        often gains nothing."""
        mine, empty = self._staged.get("candidate", []), self._staged.get(NULL, [])
        if len(mine) < _FEWEST or len(empty) < _FEWEST or not self._charged:
            return ()
        allowed = max(_SLOW_STAGING_NS, _SHARE * statistics.median(self._charged))
        for what, pick in _STEPS.items():
            usual = statistics.quantiles(map(pick, empty), n=4)[2]
            late = statistics.median(map(pick, mine)) - usual
            if late > allowed:
                return what, late
        return ()

    def disagreement(self) -> str:
        """What the device's own events say, if it is not what the judge's clock says; "" else."""
        mine, empty = self._staged.get("candidate", []), self._staged.get(NULL, [])
        if not mine or not empty or not self._charged:
            return ""
        events = statistics.median(one.events_ns for one in mine)
        events -= statistics.median(one.events_ns for one in empty)
        charged = statistics.median(self._charged)
        if abs(events - charged) <= _EVENTS_DIFFER * charged:
            return ""
        return (
            f"{self.bench.case.name}: the device's own events, which only the kernel's process can"
            f" read, say {events / 1000 / self.count:.1f} us per call, the judge's clock"
            f" {charged / 1000 / self.count:.1f} us"
        )


_STEPS: dict[str, Callable[[Staging], int]] = {
    "bringing its inputs to the device": lambda one: one.in_ns,
    "bringing its outputs back": lambda one: one.out_ns,
}
