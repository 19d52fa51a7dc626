# SPDX-License-Identifier: Apache-2.0
"""Memories: what is learnt on one task and shown on the next. One memory per file.

A member ``MEMORY_FOO`` is ``kernelcoder/memory/foo.py`` with

- ``Options``: a frozen dataclass without defaults, filled from ``MEMORY_FOO_*``;
- ``provide(snapshot, query: Query, options) -> tuple[ContextItem, ...]``: what a prompt shows;
- ``observe(snapshot, finished: Finished, io: IO, options) -> snapshot``: a JSON value. Only the
  verifier's outcomes teach; every model call goes through ``io``, recorded and charged;
- ``seeds(snapshot, query: Query, options) -> tuple[Seed, ...]`` (optional): sources tried before
  the method's first attempt, without asking a model. They are judged like all others;
- ``enough(snapshot, query: Query, options) -> bool`` (optional): whether the seeds, as they were
  judged (``query.seen``), leave nothing to search for; with ``waits(options) -> bool``: whether
  that can ever be, so that even a method that never looks at results waits for the seeds'.

All of them are pure: no state but the snapshot, no randomness but ``query.key`` and ``io.rng``.
The snapshot before the first task is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kernelcoder.records import Attempt
from kernelcoder.task import Task


@dataclass(frozen=True, slots=True)
class ContextItem:
    """One piece of learnt context for a prompt: stable ``id``, the text, and the attempts
    (``cell/task#ordinal``) it was learnt from. A ``withheld`` item is recorded, not shown."""

    id: str
    text: str
    provenance: tuple[str, ...] = ()
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What context is wanted for: the prompt of one proposal.

    ``failure`` is the status of the parent ("" if there is none, or it is right); ``key`` the hex
    random key of this place; ``seen`` are this task's visible attempts."""

    task: Task
    role: str
    backend: str
    language: str
    failure: str = ""
    key: str = ""
    seen: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """A task whose search has ended. ``where`` is the cell's id: an attempt's provenance is
    ``{where}/{task.id}#{ordinal}``. ``context`` tells which items each prompt held, withheld ones
    as ``withheld:<id>``; ``noise`` is the relative gain below which two kernels are equally fast.
    ``last``: everything learnt is frozen after this task, and others follow that are judged by it.
    """

    task: Task
    backend: str
    language: str
    baseline: str
    attempts: tuple[Attempt, ...]
    chosen: int | None
    where: str
    noise: float = 0.02
    context: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    verify_version: str = ""
    last: bool = False

    def provenance(self, attempt: Attempt) -> str:
        """The name of an attempt that a reader can look up."""
        return f"{self.where}/{self.task.id}#{attempt.ordinal}"


@dataclass(frozen=True, slots=True)
class Seed:
    """A source to be tried as it stands. ``item`` is the id of what it was made from, ``why`` one
    sentence. A ``seed`` is an earlier kernel; a ``probe`` was instantiated for this task."""

    source: str
    role: Literal["seed", "probe"]
    item: str
    provenance: tuple[str, ...] = ()
    why: str = ""
