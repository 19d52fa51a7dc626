# SPDX-License-Identifier: Apache-2.0
"""The process of one candidate, seen from the judge: run it, time it, freeze it, end it.

What is believed of a child: the bytes of the output region, read while it is frozen; that a token
with this run's nonce arrived; and what the kernel says (wait status, CPU clock). Its text is not.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernelcoder.verify.patience import answered

if TYPE_CHECKING:
    from kernelcoder.verify.cgroups import Group
    from kernelcoder.verify.watchdog import Watchdog

GRACE = 5.0  # seconds within which the kernel must have ended a killed process
EVENT = struct.Struct("<Iiqqq")  # protocol.h: KcEvent
STARTED, STOPPED, EXITED = 1, 2, 3
EXIT_NO_SYMBOL, EXIT_NO_LOAD, EXIT_HARNESS = 96, 97, 98  # a child that never came to run
# protocol.h: KC_EXIT_DEVICE, KC_EXIT_DEFECT, KC_EXIT_WANTS
EXIT_DEVICE, EXIT_DEFECT, EXIT_WANTS = 91, 92, 93
_GO = struct.Struct("<IIIIQ")
_TOKEN = struct.Struct("<QQ")
_TOUCH, _STRAIGHT = 1, 2
_LOADED, _READY, _DONE, _LOADING = 1, 2, 3, 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_Event = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one child: address space beyond its regions (MiB), CPU seconds in all, threads it may
    use, KiB of stderr, the first core it is pinned to (-1: the slot's), and threads besides that a
    guest's library needs."""

    memory_mb: int = 2048
    cpu_seconds: int = 30
    threads: int = 1
    output_kb: int = 64
    core: int = -1
    helpers: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """One run on the judge's clocks: wall time from go to done; CPU time of all the child's
    threads from go to the freeze, what of it was spent after ``done``, and how it divides into the
    run's parts, each up to the start of the next."""

    wall_ns: int
    cpu_ns: int
    late_cpu_ns: int
    parts_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: ``kind`` is exited or signaled, ``code`` the exit code or signal.

    ``cpu_ns`` and ``max_rss_kb`` are the kernel's; ``stderr`` is untrusted text; ``oom`` is a
    judgment from the control group and that text. ``harness`` means it failed before any code of
    the candidate ran; ``killed``, that neither we nor one of its limits sent the SIGKILL."""

    kind: str
    code: int
    cpu_ns: int
    max_rss_kb: int
    stderr: str
    oom: bool
    harness: bool = False
    killed: bool = False


class Died(Exception):
    """The child ended, or shut the judge out, when it should have answered."""

    def __init__(self, exit: Exit) -> None:
        self.exit = exit
        super().__init__(f"{exit.kind} {exit.code}: {exit.stderr.strip()[-200:]}")


class Tampered(Died):
    """The child wrote to the harness's own pipe, or something other than the awaited token."""


class TimedOut(Exception):
    """The child did not answer in time and was killed; ``exit`` says how it had behaved."""

    def __init__(self, exit: Exit) -> None:
        self.exit = exit
        super().__init__("no answer in time")


class Child:
    """The process of one candidate, seen from the judge."""

    def __init__(
        self,
        control: socket.socket,
        pid: int,
        pidfd: int,
        go: int,
        done: int,
        err: int,
        limits: Limits,
        group: Group | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._control, self._pid, self._pidfd = control, pid, pidfd
        self._go, self._done, self._err, self._limits = go, done, err, limits
        self._clock = (~pid << 3) | 2  # the process's CPU clock: Linux's encoding, no rights needed
        self._frozen = self._loading = False
        self._group, self._watchdog = group, watchdog
        self._exit: Exit | None = None
        self._poll = select.poll()
        self._poll.register(done, select.POLLIN)
        # Makes what is called just before and after each part of a timed run is started, to watch
        # it; and the least time that a part has taken.
        self.observer: Callable[[int], tuple[Callable[[], None], Callable[[], None]]] | None = None
        self.unsure: Callable[[], bool] = bool  # whether it should see more; False without one
        self.batch_ns = 0

    def pid(self) -> int:
        """Process id; may belong to nobody once the child has ended."""
        return self._pid

    def threads(self) -> int:
        """How many threads it may use."""
        return self._limits.threads

    def cpu_ns(self) -> int:
        """CPU time of all threads so far; the last known figure once the child has ended."""
        try:
            return time.clock_gettime_ns(self._clock)
        except OSError:
            return self._exit.cpu_ns if self._exit else 0

    def loaded(self, timeout: float) -> None:
        """Waits until the candidate is loaded and its ``kernel`` found.

        Raises TimedOut, or Died: with exit code 96 (no such function) or 97 (the dynamic loader
        refused), or however a constructor died; with ``exit.harness`` if it ended before any code
        of the candidate could run."""
        deadline = time.monotonic() + timeout
        self._await(0, _LOADING, deadline)
        self._loading = True
        self._await(0, _LOADED, deadline)

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
        """Makes ``reps`` passes over calls first..first+count-1, then freezes the child.

        A timed run has a ``prepare``: it is called, to write inputs and poison outputs, when the
        child has said that it is ready and stands frozen, and the clocks start before it moves
        again. Whatever a child does before it is told to go, it does without its inputs.

        A run of several ``parts`` does all that so many times, prepared before each, on one clock:
        it stands frozen before the first and after the last, so what it does in between counts.

        ``watch`` is called while it runs (in each part) and may ``glimpse``. With ``touch`` the
        harness first reads each cache line. It stays frozen until the next run, for its outputs."""
        if self._exit is not None:
            raise Died(self._exit)
        deadline = time.monotonic() + timeout
        nonce = int.from_bytes(os.urandom(8), "little")
        self._thaw()
        straight = prepare is None and not touch
        flags = (_TOUCH if touch else 0) | (_STRAIGHT if straight else 0)
        go = _GO.pack(first, count, reps, flags, nonce)
        if not straight:
            go = self._readied(go, nonce, deadline, prepare)
        before, watch = self._watching(watch, prepare is not None, parts)
        before()
        marks, began = [self.cpu_ns()], time.perf_counter_ns()
        self._thaw()
        self._tell(go)
        watch()
        self._await(nonce, _DONE, deadline)
        ended, idle = time.perf_counter_ns(), 0
        for _ in range(parts - 1):
            (prepare or _nothing)()
            nonce = int.from_bytes(os.urandom(8), "little")
            before()
            marks.append(self.cpu_ns())
            idle += time.perf_counter_ns() - ended
            self._tell(_GO.pack(first, count, reps, _STRAIGHT, nonce))
            watch()
            self._await(nonce, _DONE, deadline)
            ended = time.perf_counter_ns()
        done = self.cpu_ns()
        self._freeze(max(GRACE, deadline - time.monotonic()))
        end, stopped = self.cpu_ns(), time.perf_counter_ns()
        self._still_there()
        # Linux brings another process's CPU clock up to date when it leaves its processor or at the
        # next tick, so the reading at `done` may be up to 4 ms old (the others are taken while it
        # stands). What was spent afterwards is no more than the time until it stood still.
        self.batch_ns = min(self.batch_ns or (1 << 62), (ended - began - idle) // parts)
        late = min(end - done, (stopped - ended) * self._limits.threads)
        return Window(ended - began - idle, end - marks[0], late, _steps([*marks, end]))

    def _still_there(self) -> None:
        """After the last answer nothing may come, and its pipe must be open."""
        if found := self._poll.poll(0):
            raise self._over(Tampered) if found[0][1] & select.POLLIN else self._hung_up()

    def _watching(
        self, watch: Callable[[], None] | None, timed: bool, parts: int
    ) -> tuple[Callable[[], None], Callable[[], None]]:
        """What to call before and after each part is started."""
        if watch is None and timed and self.observer is not None:
            return self.observer(parts)
        return _nothing, watch or _nothing

    def _readied(
        self, go: bytes, nonce: int, deadline: float, prepare: Callable[[], None] | None
    ) -> bytes:
        """Tells it what to run, waits until it is ready, prepares; returns what makes it start."""
        self._tell(go)
        self._await(nonce, _READY, deadline)
        if prepare is not None:
            self._freeze(max(GRACE, deadline - time.monotonic()))
            prepare()
        return _TOKEN.pack(nonce, 0)[:8]

    def glimpse(self, look: Callable[[], None]) -> bool:
        """Freezes the child in the middle of a run, looks, and lets it go on; False, without having
        looked, once it has answered."""
        if self._poll.poll(0):
            return False
        self._freeze(GRACE)
        look()
        self._thaw()
        return True

    def finish(self) -> Exit:
        """Kills and reaps the child, if it still lives. Nothing of it is left afterwards."""
        if self._exit is None:
            self._kill()
            # A slot that does not answer is gone and took the child along (parent death signal).
            self._exit = self._reap(GRACE, killed=True) or self._lost()
            for fd in (self._pidfd, self._go, self._done, self._err):
                os.close(fd)
        return self._exit

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _thaw(self) -> None:
        if self._frozen:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGCONT)
            self._frozen = False

    def _freeze(self, timeout: float) -> None:
        """Stops all threads; returns when the kernel says that they stand."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGSTOP)
        event = self._event(timeout)
        if event is None:
            raise TimedOut(self.finish())
        if event[0] != STOPPED:
            raise self._over(Died, event)
        self._frozen = True

    def _tell(self, data: bytes) -> None:
        try:
            os.write(self._go, data)
        except BrokenPipeError:
            raise self._over(Died) from None

    def _await(self, nonce: int, kind: int, deadline: float) -> None:
        if not answered(self._poll, self.cpu_ns, deadline):
            raise TimedOut(self.finish())
        token = os.read(self._done, _TOKEN.size)
        if not token:
            raise self._over(Died)
        if token != _TOKEN.pack(nonce, kind):
            raise self._over(Tampered)

    def _event(self, timeout: float) -> _Event | None:
        self._control.settimeout(timeout)
        try:
            data = self._control.recv(EVENT.size)
        except (TimeoutError, ConnectionError):
            return None
        return EVENT.unpack(data) if len(data) == EVENT.size else None

    def _over(self, error: type[Died], event: _Event | None = None) -> Died:
        """The error for a child that is dead or must be. Its own end, which may be on its way, is
        preferred to our kill; a child that only closed its pipes is killed."""
        if self._exit is None:
            self._thaw()
            exit = self._reap(0.2, killed=False, event=event) if error is Died else None
            if exit is None:
                return error(self.finish())
            return self._ended(error, exit)
        return error(self._exit)

    def _hung_up(self) -> Died:
        """The error for a pipe that is closed though the child stands frozen: it has been killed
        from outside just now, or had closed the pipe itself before."""
        exit = self._reap(0.2, killed=False)
        if exit is None:
            return Tampered(self.finish())
        return self._ended(Died, exit)

    def _ended(self, error: type[Died], exit: Exit) -> Died:
        self._exit = exit
        for fd in (self._pidfd, self._go, self._done, self._err):
            os.close(fd)
        return error(exit)

    def _reap(self, timeout: float, killed: bool, event: _Event | None = None) -> Exit | None:
        """The child's end as the slot tells it, None if it does not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while event is None or event[0] != EXITED:
            left = deadline - time.monotonic()
            event = self._event(left) if left > 0 else None
            if event is None:
                return None
        _, status, _, cpu_ns, rss = event
        text = self._text()
        if os.WIFSIGNALED(status):
            code = os.WTERMSIG(status)
            ours = killed or code == signal.SIGXCPU
            # A SIGKILL that neither we nor the CPU limit sent is the group's, if that says so;
            # else the kernel's for want of memory on the machine, or somebody's.
            unasked = code == signal.SIGKILL and not ours and not self._spent(cpu_ns)
            starved = unasked and self._group is not None and self._group.starved()
            starved |= self._watchdog is not None and self._watchdog.bitten
            oom = starved or _no_memory(text)
            return Exit("signaled", code, cpu_ns, rss, text, oom, killed=unasked and not oom)
        code = os.WEXITSTATUS(status)
        harness = code == EXIT_HARNESS and not self._loading
        return Exit("exited", code, cpu_ns, rss, text, _no_memory(text), harness)

    def _spent(self, cpu_ns: int) -> bool:
        """Whether the kernel killed it for its CPU limit (one second past the soft one)."""
        return cpu_ns >= self._limits.cpu_seconds * 1_000_000_000

    def _lost(self) -> Exit:
        self._control.close()  # the next start makes a new slot
        return Exit("signaled", int(signal.SIGKILL), 0, 0, self._text() + "(the slot ended)", False)

    def forget_text(self, kept: int) -> None:
        """Drops what the child has written beyond ``kept`` bytes: in many repetitions even a word
        for each call would exceed its limit."""
        if self.text_bytes() > kept:
            os.ftruncate(self._err, kept)

    def text_bytes(self) -> int:
        """How much the child has written so far."""
        return os.fstat(self._err).st_size

    def _text(self) -> str:
        data = os.pread(self._err, self._limits.output_kb << 10, 0)
        return _CONTROL.sub("", data.decode(errors="replace"))


def _nothing() -> None:
    """Nobody watches, or there is nothing to prepare."""


def _steps(marks: Sequence[int]) -> tuple[int, ...]:
    """What each part took, between readings of one clock."""
    return tuple(after - before for before, after in itertools.pairwise(marks))


def _no_memory(text: str) -> bool:
    """Whether a child's last words are those of a failed allocation (a heuristic: it could lie, but
    has nothing to gain by it)."""
    said = ("bad_alloc", "annot allocate memory", "null pointer: an allocation failed")
    return any(words in text for words in said)
