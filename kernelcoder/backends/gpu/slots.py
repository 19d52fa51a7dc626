# SPDX-License-Identifier: Apache-2.0
"""The slot of GPU candidates (native/gpu_child.c) and its children, seen from the judge."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.verify import sandbox
from kernelcoder.verify.child import (
    _DONE,
    _GO,
    _LOADED,
    _LOADING,
    _READY,
    _TOKEN,
    GRACE,
    Child,
    Died,
    Exit,
    Limits,
    Tampered,
    TimedOut,
    Window,
)
from kernelcoder.verify.patience import answered
from kernelcoder.verify.python_builder import PythonSlot
from kernelcoder.verify.slots import Slot

if TYPE_CHECKING:
    from kernelcoder.verify.regions import Regions

# Seconds within which a device opens, beside the candidate's own time: a driver that nobody uses
# may have to be started. MiB of host memory and threads that the driver itself takes.
OPENING, DRIVER_MB, DRIVER_THREADS = 60.0, 4096, 48
_STAGED, _FLUSH, _OUT = 4, 8, 5  # protocol.h: KC_STAGED, KC_FLUSH, KC_OUT


@dataclass(frozen=True, slots=True)
class Staging:
    """What surrounds a timed run, in nanoseconds: bringing its inputs to the device and its outputs
    back, on the judge's clock; and the sum between the device's own events around each call, which
    the child tells, and which a hostile one may tell as it likes."""

    in_ns: int = 0
    out_ns: int = 0
    events_ns: int = 0


def _nothing() -> None:
    """There is no lease to give back."""


class GpuChild(Child):
    """A child with a device. Its timed runs have three steps (inputs, calls, outputs), of which the
    judge's wall clock measures the middle one: the device's work is no CPU time of anybody."""

    flush = False  # whether the device's caches are emptied before each call of a timed run
    staging = Staging()
    give_back: Callable[[], None] = staticmethod(_nothing)

    def loaded(self, timeout: float) -> None:
        """As any child's, with time for the device to open."""
        self._await(0, _LOADING, time.monotonic() + max(timeout, OPENING))
        self._loading = True
        self._await(0, _LOADED, time.monotonic() + timeout)

    def run(
        self,
        first: int,
        count: int,
        reps: int = 1,
        touch: bool = False,
        timeout: float = 10.0,
        prepare: Callable[[], None] | None = None,
        watch: Callable[[], None] | None = None,
        parts: int = 1,
    ) -> Window:
        """As any child's. A timed run has one part, and all its times are wall time; ``staging``
        then says what was around it."""
        if prepare is None:
            return super().run(first, count, reps, timeout=timeout, watch=watch)
        if parts != 1:
            raise ValueError("a timed run on a device has one part")
        if self._exit is not None:
            raise Died(self._exit)
        deadline = time.monotonic() + timeout
        if not self._frozen:
            self._freeze(GRACE)
        prepare()
        nonce = int.from_bytes(os.urandom(8), "little")
        word = _TOKEN.pack(nonce, 0)[:8]
        flags = _STAGED | (_FLUSH if self.flush else 0)
        asked = time.perf_counter_ns()
        self._thaw()
        self._tell(_GO.pack(first, count, reps, flags, nonce))
        self._await(nonce, _READY, deadline)
        began = time.perf_counter_ns()
        self._tell(word)
        self._await(nonce, _DONE, deadline)
        ended = time.perf_counter_ns()
        self._tell(word)
        events = self._brought(nonce, deadline)
        back = time.perf_counter_ns()
        self._freeze(max(GRACE, deadline - time.monotonic()))
        self._still_there()
        self.staging = Staging(began - asked, back - ended, events)
        spent = ended - began
        return Window(spent, spent, 0, (spent,))

    def _brought(self, nonce: int, deadline: float) -> int:
        """Waits for the outputs; what the device's events say."""
        if not answered(self._poll, self.cpu_ns, deadline):
            raise TimedOut(self.finish())
        token = os.read(self._done, _TOKEN.size)
        if not token:
            raise self._over(Died)
        said, kind = _TOKEN.unpack(token) if len(token) == _TOKEN.size else (0, 0)
        if said != nonce or kind & 0xFF != _OUT:
            raise self._over(Tampered)
        return int(kind >> 8)

    def finish(self) -> Exit:
        """As any child's; the device is free for others then."""
        try:
            return super().finish()
        finally:
            self.give_back()


class OnDevice(Slot):
    """A slot whose children open a device; comes before another kind of slot among the bases.
    ``variables`` are of their environment; ``lease`` is the device's if each child is to hold it,
    with others, for as long as it lives."""

    _child_type = GpuChild
    _more: Mapping[str, str] = {}
    _lease: Lease | None = None

    def on(self, variables: Mapping[str, str], lease: Lease | None) -> None:
        """Before the slot is opened."""
        self._more, self._lease = dict(variables), lease

    def _variables(self) -> Mapping[str, str]:
        return self._more

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """As any slot, once nobody measures."""
        if self._child is not None:
            self._child.finish()
        give_back = self._lease.shared() if self._lease else _nothing
        kept = contextlib.ExitStack()
        kept.callback(give_back)
        wider = dataclasses.replace(
            limits,
            memory_mb=limits.memory_mb + DRIVER_MB,
            helpers=limits.helpers + DRIVER_THREADS,
            core=-1,
        )
        with kept:
            child = super().start(so, regions, wider)
            assert isinstance(child, GpuChild)
            child.give_back = give_back
            kept.pop_all()
        return child


class GpuSlot(OnDevice):
    """The native one, for ``.cu`` files."""

    _patience = GRACE * 4

    def __init__(
        self,
        variables: Mapping[str, str],
        lease: Lease | None = None,
        library: Path | None = None,
        skip: tuple[str, ...] | None = None,
    ) -> None:
        self.on(variables, lease)
        super().__init__(skip=skip, threads=1, library=library)

    def _command(self) -> list[str]:
        return [str(sandbox.helper("slot_gpu"))]


class PythonGpuSlot(OnDevice, PythonSlot):
    """A zygote whose guest (a Python file) opens a device in each child."""

    def __init__(self, variables: Mapping[str, str], lease: Lease | None, guest: Path) -> None:
        self.on(variables, lease)
        super().__init__(1, guest=guest)
