# SPDX-License-Identifier: Apache-2.0
"""No memory: every task starts from nothing. The control arm of every memory experiment."""

from __future__ import annotations

from dataclasses import dataclass

from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query

learns = False


@dataclass(frozen=True, slots=True)
class Options:
    """No options."""


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """Nothing to show."""
    return ()


def observe(snapshot: object, finished: Finished, io: IO, options: Options) -> object:
    """Nothing to learn: the snapshot stays as it is."""
    return snapshot
