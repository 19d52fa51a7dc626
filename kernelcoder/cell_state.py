# SPDX-License-Identifier: Apache-2.0
"""How far a cell is, read from its ledger without verifying it: cheap enough for every matrix."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import matrix
from kernelcoder.budget import caps_of
from kernelcoder.config import Value
from kernelcoder.matrix import Cell
from kernelcoder.records import Mode
from kernelcoder.stop_rules import goes_on, rules_of

# A ledger line begins with its own kind and task; most lines need not be parsed any further.
_HEAD = re.compile(rb'\{"seq":\d+,"time":[\d.e+-]+,"kind":"(\w+)","task":(?:"([^"]+)"|null),')


@dataclass(frozen=True, slots=True)
class State:
    """``kind`` is done, partly, todo or blocked. ``finished`` of ``total`` tasks are finished;
    ``mode`` is how it runs on this machine, None where it cannot; ``reason`` says why."""

    kind: str
    finished: int
    total: int
    reason: str = ""
    mode: Mode | None = None

    def __str__(self) -> str:
        if self.kind == "blocked":
            return f"cannot run here: {self.reason}"
        if self.kind == "partly":
            return f"{self.finished} of {self.total} tasks"
        return {"done": "done", "todo": "to do"}[self.kind]


def finished_tasks(ledger: Path, values: Mapping[str, Value]) -> set[str]:
    """Tasks that ended, less those that a stopping rule ended which allows more by now."""
    ended: dict[str, Mapping[str, Any]] = {}
    asked: Counter[str] = Counter()
    try:
        lines = ledger.read_bytes().split(b"\n")[:-1]  # what follows the last newline is torn
    except FileNotFoundError:
        return set()
    for line in lines:
        head = _HEAD.match(line)
        if head is None or head[1] not in (b"ask", b"control"):
            continue
        task = head[2].decode() if head[2] else ""
        if head[1] == b"ask":
            asked[task] += 1
            continue
        data = json.loads(line)["data"]
        for name in data.get("reopened", ()):
            ended.pop(name, None)
        if data["op"] == "task_end":
            ended[task] = data
    now = int(values["BUDGET"]), caps_of(values), rules_of(values)
    return {name for name, end in ended.items() if not goes_on(end, asked[name], *now)}


def state(cell: Cell) -> State:
    """Where a cell stands. A finished cell is done even on a machine that could not run it."""
    names = matrix.tasks(cell)
    ledger = matrix.folder(cell) / "ledger.jsonl"
    finished = len(finished_tasks(ledger, cell.values) & set(names))
    found = matrix.availability(cell)
    if names and finished == len(names):
        return State("done", finished, len(names), found.reason, found.mode)
    if found.mode is None:
        return State("blocked", finished, len(names), found.reason)
    return State("partly" if finished else "todo", finished, len(names), found.reason, found.mode)
