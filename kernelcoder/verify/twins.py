# SPDX-License-Identifier: Apache-2.0
"""Candidates that differ in their source and not in their machine code share one judgment.

Searches produce many of them: other comments, other names, an unrolled loop that the compiler would
have unrolled anyway. What counts is what the program can see of itself, which is the whole file but
for what canonical.py took out. Sharing never crosses tasks, keys or options.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from kernelcoder.records import Status, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import labels
from kernelcoder.verify.canonical import canonical
from kernelcoder.verify.judging import Findings
from kernelcoder.verify.python_bundle import MAGIC
from kernelcoder.verify.work import LOG_LIMIT, Work
from kernelcoder.wording import TAKEN_OVER

# Judgments remembered; one has up to 20 KB where many cases failed, little where all passed.
KEPT = 1024
# Only judgments about values: a time-out or a death may be the machine's doing.
SHARED: tuple[Status, ...] = ("incorrect",)


def machine_code(data: bytes) -> str:
    """SHA-256 of a program as it was built: of all its bytes, since canonical.py has left none but
    those that count. "" for anything else, which then has no twins."""
    if data.endswith(MAGIC):  # Python: what the interpreter runs follows the object
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha256(data).hexdigest() if data and data == canonical(data) else ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What running a program showed: ``verdict`` (None: it passed), findings, and the remarks made
    about the source by then, which are not the next one's."""

    verdict: Verdict | None
    findings: Findings
    remarks: tuple[str, ...]


class Twins:
    """Judgments of one verifier, the last few. Thread-safe; two workers may both judge twins that
    come at the same time."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, str, str], _Judged] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget all: the next candidates are run, whatever they are."""
        with self._lock:
            self._known.clear()

    def check(
        self, work: Work, task: Task, key: str, data: bytes, run: Callable[[], Verdict | None]
    ) -> Verdict | None:
        """What ``run`` says of the program in ``data``, or what it said of an earlier one with the
        same code, for this task and key; fills ``work`` either way."""
        code = machine_code(data)
        name = (task.digest or task.id, key, code)
        with self._lock:
            known = self._known.get(name) if code else None
            if known is not None:
                self._known.move_to_end(name)
        if known is not None:
            return _again(work, known)
        verdict = run()
        if code and (verdict is None or verdict.status in SHARED):
            with self._lock:
                self._known[name] = _Judged(verdict, work.findings, tuple(work.remarks))
                while len(self._known) > self._kept:
                    self._known.popitem(last=False)
        return verdict


def _again(work: Work, known: _Judged) -> Verdict | None:
    work.findings = known.findings
    work.remarks.append(TAKEN_OVER)
    work.stage = "smoke_passed" if known.verdict is None else known.verdict.stage
    if known.verdict is None:
        return None
    old = known.verdict
    evidence = (*(text for text in old.evidence if text not in known.remarks), *work.remarks)
    return dataclasses.replace(
        old,
        evidence=evidence,
        log=work.log[:LOG_LIMIT],
        seconds={name: round(value, 6) for name, value in work.seconds.items()},
        labels=labels.noticed(old.status, old.reason, evidence, old.cases),
    )
