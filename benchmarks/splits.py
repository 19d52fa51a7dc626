# SPDX-License-Identifier: Apache-2.0
"""The published lists of tasks that teach and of tasks that judge what was learnt.

A suite has them in ``benchmarks/<suite>/splits.toml``: one table per split with the lists
``learn``, ``evaluate`` and ``near`` (pairs across the two that are described alike).
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kernelcoder.errors import Error, Problem

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Split:
    """Task names, without the suite. What is learnt on ``learn`` is frozen before the first task of
    ``evaluate``; ``near`` are pairs (learn, evaluate) whose descriptions are alike."""

    name: str
    learn: tuple[str, ...]
    evaluate: tuple[str, ...]
    near: tuple[tuple[str, str], ...] = ()

    def of(self, tasks: Iterable[str]) -> Split:
        """The split limited to ``tasks`` (names or ``suite/name``), each side in its own order. A
        task on neither side is an :class:`Error`."""
        wanted = {task.rpartition("/")[2] for task in tasks}
        lost = sorted(wanted - {*self.learn, *self.evaluate})
        if lost:
            fix = "put it into one of the lists, or leave it out of the suite's tasks"
            problems = [Problem(name, "neither teaches nor judges", fix) for name in lost]
            raise Error(f"the split {self.name!r} does not know every task", problems=problems)
        return Split(
            self.name,
            tuple(name for name in self.learn if name in wanted),
            tuple(name for name in self.evaluate if name in wanted),
            tuple(pair for pair in self.near if set(pair) <= wanted),
        )


@cache
def splits(suite: str) -> dict[str, Split]:
    """Every split of a suite by name; an :class:`Error` if it has none."""
    module = importlib.import_module(f"benchmarks.{suite}")
    if hasattr(module, "published_splits"):  # where there are too many tasks to list
        return {name: Split(name, *sides) for name, sides in module.published_splits().items()}
    path = HERE / suite / "splits.toml"
    if not path.is_file():
        raise Error(f"the suite {suite} has no published split", fix=f"write {path.name} for it")
    with path.open("rb") as file:
        tables = tomllib.load(file)
    return {
        name: Split(
            name,
            tuple(table["learn"]),
            tuple(table["evaluate"]),
            tuple((one, other) for one, other in table["near"]),
        )
        for name, table in tables.items()
    }


def load(suite: str, name: str = "across") -> Split:
    """One split of a suite; an unknown name is an :class:`Error`."""
    found = splits(suite)
    if name not in found:
        raise Error(f"no split {name!r} of {suite}", fix=f"known: {', '.join(found)}")
    return found[name]
