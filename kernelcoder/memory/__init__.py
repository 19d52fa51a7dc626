# SPDX-License-Identifier: Apache-2.0
"""Memories: what is learnt on one task and shown on the next. One memory per file.

A member ``MEMORY_FOO`` is ``kernelcoder/memory/foo.py`` with ``Options``,
``provide(snapshot, task_id, role, options) -> tuple[ContextItem, ...]`` and
``observe(snapshot, finished, options) -> snapshot`` (a JSON value). Only verifier outcomes teach.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContextItem:
    """One piece of learnt context for a prompt: stable ``id``, the text, and the attempts
    (``cell/task#ordinal``) it was learnt from. A ``withheld`` item is recorded, not shown."""

    id: str
    text: str
    provenance: tuple[str, ...] = ()
    withheld: bool = False
