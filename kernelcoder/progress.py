# SPDX-License-Identifier: Apache-2.0
"""What a bench shows while it runs: one live line on a terminal, plain dated lines elsewhere.

Finished tasks and cells become permanent lines above the live one. Nothing here decides anything:
numbers are counted from attempts as they are recorded, and are search timings; the results
are the table at the end.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from kernelcoder.records import Attempt
from kernelcoder.wording import duration, money, tally


def cost(usd: float | None) -> str:
    """What was charged so far, or that it is unknown."""
    return f"cost {money(usd)}" if usd is None else money(usd)


@dataclass(slots=True)
class _Counts:
    verified: int = 0
    attempts: int = 0
    best: float | None = None
    began: float = field(default_factory=time.monotonic)

    def add(self, attempt: Attempt, baseline: str) -> None:
        self.attempts += 1
        self.verified += attempt.verdict.verified
        speedup = attempt.speedup(baseline)
        if speedup is not None:
            self.best = max(self.best or 0.0, speedup)

    def speed(self) -> str:
        return "" if self.best is None else f", best {self.best:.2f}x"


class Progress:
    """Plain lines on a stream. Thread-safe; a terminal gets :class:`Live` instead."""

    def __init__(self, stream: TextIO, baseline: str, clock: bool = True) -> None:
        self._stream, self._baseline, self._dated = stream, baseline, clock
        self._guard = threading.RLock()
        self._began = time.monotonic()
        self._first_shown = False
        self._cell, self._place, self._left = "", "", ""
        self._total = _Counts()
        self._tasks: dict[str, _Counts] = {}
        self._n_tasks = self._ended = self._right = 0
        self._usd: float | None = 0.0

    def line(self, text: str) -> None:
        """One permanent line."""
        stamp = time.strftime("%H:%M:%S ") if self._dated else ""
        self._stream.write(f"{stamp}{text}\n")
        self._stream.flush()

    def cell_begins(self, cell: str, number: int, count: int, tasks: int) -> None:
        """A cell is opened."""
        with self._guard:
            self._cell, self._place = cell, f"cell {number}/{count}"
            self._total, self._tasks, self._n_tasks = _Counts(), {}, tasks
            self._ended = self._right = 0
            self._usd = 0.0
            self.line(f"{self._place} {cell}: {tally(tasks, 'task')}")
            self._refresh()

    def task_begins(self, task: str) -> None:
        """The search of a task begins, or is taken up again."""
        with self._guard:
            self._tasks[task] = _Counts()

    def attempt(self, task: str, attempt: Attempt, fresh: bool) -> None:
        """An attempt was judged (``fresh``) or read back from the ledger. One that the machine
        failed counts for nothing but its cost."""
        with self._guard:
            if attempt.verdict.status == "infra_error":
                self._quarantined(task, attempt, fresh)
                return
            self._total.add(attempt, self._baseline)
            self._tasks.setdefault(task, _Counts()).add(attempt, self._baseline)
            self._charge(attempt)
            if fresh and attempt.verdict.verified and not self._first_shown:
                self._first_shown = True
                speedup = attempt.speedup(self._baseline)
                speed = f", {speedup:.2f}x {self._baseline} in the search" if speedup else ""
                passed = duration(time.monotonic() - self._began)
                self.line(f"first verified kernel after {passed}: {task}#{attempt.ordinal}{speed}")
            self._refresh()

    def _charge(self, attempt: Attempt) -> None:
        usd = attempt.usage.cost_usd
        self._usd = None if usd is None or self._usd is None else self._usd + usd

    def _quarantined(self, task: str, attempt: Attempt, fresh: bool) -> None:
        self._charge(attempt)
        if fresh:
            self.line(
                f"  {task}#{attempt.ordinal} quarantined: the verifier failed, not the kernel"
            )
        self._refresh()

    def task_ends(self, task: str, why: str) -> None:
        """A task is finished."""
        with self._guard:
            found = self._tasks.get(task, _Counts())
            self._ended += 1
            self._right += found.verified > 0
            passed = duration(time.monotonic() - found.began)
            note = "" if why in ("budget", "stop") else f" ({why})"
            right = f"verified {found.verified}/{found.attempts}{found.speed()}"
            self.line(f"  {task:<24} {right}, {passed}{note}")
            self._refresh()

    def cell_ends(self, state: str, note: str) -> None:
        """A cell is done, skipped, unfinished or broken."""
        with self._guard:
            total = self._total
            right = f"{self._right}/{self._n_tasks} tasks verified{total.speed()}"
            parts = [
                f"{self._place} {state}: {right}",
                tally(total.attempts, "attempt"),
                cost(self._usd),
                duration(time.monotonic() - total.began),
            ]
            self.line(", ".join(parts) + (f"; {note}" if note else ""))

    def status(self) -> str:
        """The live line: where the bench is."""
        total = self._total
        left = self._remaining()
        parts = [
            f"{self._place} {self._cell.partition('_')[0]}",
            f"{self._ended}/{self._n_tasks} tasks, {self._right} verified",
            f"best {total.best:.2f}x" if total.best is not None else "",
            tally(total.attempts, "attempt"),
            cost(self._usd),
            f"{left} left" if left else "",
        ]
        return ", ".join(part for part in parts if part)

    def _remaining(self) -> str:
        if not self._ended or self._ended == self._n_tasks:
            return ""
        passed = time.monotonic() - self._total.began
        return duration(passed / self._ended * (self._n_tasks - self._ended))

    def _refresh(self) -> None:
        """Nothing to redraw without a terminal."""

    def close(self) -> None:
        """End the live line."""


class Live(Progress):
    """A terminal: permanent lines scroll above one status line."""

    def __init__(self, stream: TextIO, baseline: str) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        super().__init__(stream, baseline, clock=False)
        self._console = Console(file=stream, highlight=False, no_color="NO_COLOR" in os.environ)
        self._live: Any = RichLive(
            console=self._console, auto_refresh=False, transient=True, get_renderable=self._render
        )
        self._live.start()

    def _render(self) -> Any:
        from rich.text import Text

        return Text(self.status() if self._cell else "", no_wrap=True, overflow="ellipsis")

    def line(self, text: str) -> None:
        """One permanent line, above the live one."""
        self._console.print(text, markup=False, soft_wrap=True)

    def _refresh(self) -> None:
        self._live.refresh()

    def close(self) -> None:
        """Remove the live line and give the cursor back."""
        self._live.stop()


def open_progress(stream: TextIO, baseline: str) -> Progress:
    """Live on a terminal, plain lines elsewhere."""
    if stream.isatty() and os.environ.get("TERM", "") != "dumb":
        return Live(stream, baseline)
    return Progress(stream, baseline)
