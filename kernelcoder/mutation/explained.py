# SPDX-License-Identifier: Apache-2.0
"""Survivors that were looked at: why a mutant that computes something else is rightly verified.

``survivors.toml`` has one entry per mutant: ``tasks`` (task ids it survives in), ``id``, ``diff``
(for readers) and ``reason``. An entry whose mutant no longer exists is stale; a test says so.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the mutant ``id`` of the known kernel of a task may be verified."""

    task: str
    id: str
    reason: str


@cache
def explanations() -> tuple[Explanation, ...]:
    """The whole table, one row per task and mutant."""
    rows = tomllib.loads(_TABLE.read_text(encoding="utf-8")).get("survivor", [])
    return tuple(
        Explanation(task, row["id"], row["reason"]) for row in rows for task in row["tasks"]
    )


def reason(task: str, mutant: str) -> str:
    """The explanation of one survivor; "" if there is none."""
    found = (one.reason for one in explanations() if (one.task, one.id) == (task, mutant))
    return next(found, "")
