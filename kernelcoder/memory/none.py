# SPDX-License-Identifier: Apache-2.0
"""No memory: every task starts from nothing. The control arm of every memory experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernelcoder.memory import ContextItem
from kernelcoder.records import Attempt


@dataclass(frozen=True, slots=True)
class Options:
    """No options."""


def provide(snapshot: object, task_id: str, role: str, options: Options) -> tuple[ContextItem, ...]:
    """Nothing to show."""
    return ()


def observe(snapshot: object, finished: Sequence[Attempt], options: Options) -> object:
    """Nothing to learn: the snapshot stays as it is."""
    return snapshot
