# SPDX-License-Identifier: Apache-2.0
"""What a step recipe or a memory may do besides thinking: ask the model, have a kernel judged.

Everything done through it is written to the ledger before it is used, charged to its owner (an
attempt, or the learning after a task), and read back when a run is resumed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kernelcoder.records import Message, Verdict
from kernelcoder.task import Task


class IO(Protocol):
    """The recorded, charged outside of one attempt or of one lesson."""

    def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        *,
        temperature: float = 0.7,
        max_tokens: int = 1024,
        data: Mapping[str, Any] | None = None,
        shared: str = "",
    ) -> str:
        """The text the cell's model answers. ``purpose`` is one word (``extract``, ``judge``) and
        becomes the request's role; ``data`` is a structured copy of the question for models that
        are no language models. The random key follows from the owner's, the purpose and a running
        number, or from ``shared`` alone: equal requests are then one request, asked once."""
        ...

    def verify(self, task: Task, source: str, fresh: str = "") -> Verdict:
        """The verdict on a source, judged on hidden cases like any candidate (timed where the cell
        times). A word in ``fresh`` draws hidden cases of its own, other shapes among them."""
        ...

    def task(self, name: str) -> Task | None:
        """A task that was learnt from before in this cell, or the one at hand; None for others."""
        ...

    def rng(self, purpose: str) -> random.Random:
        """A generator seeded by the owner's key; the same purpose gives the same generator."""
        ...
