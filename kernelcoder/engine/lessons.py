# SPDX-License-Identifier: Apache-2.0
"""What earlier tasks have to say on one task: a memory's context and seeds, a method's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernelcoder.history import random_key, rng_of
from kernelcoder.memory import ContextItem, Query, Seed, none


@dataclass(frozen=True, slots=True)
class Lessons:
    """A memory with the snapshot that one task sees. ``withhold`` is the share of items that are
    recorded and not shown, drawn for each prompt, so that an item's effect can be told from its
    company's. ``learnt`` is the method's own snapshot, ``routed`` the router's."""

    memory: Any
    options: Any
    snapshot: object = None
    learnt: object = None
    withhold: float = 0.0
    routed: object = None

    def context(self, query: Query) -> Sequence[ContextItem]:
        """The items for a prompt, some of them withheld."""
        items: Sequence[ContextItem] = self.memory.provide(self.snapshot, query, self.options)
        return [replace(one, withheld=True) if self._kept_out(one, query) else one for one in items]

    def _kept_out(self, item: ContextItem, query: Query) -> bool:
        if item.withheld or not self.withhold:
            return item.withheld
        draw = rng_of(random_key(query.key, "withhold", item.id)).random()
        return draw < self.withhold

    def seeds(self, query: Query) -> Sequence[Seed]:
        """Sources to be tried before the method's first attempt."""
        find = getattr(self.memory, "seeds", None)
        found: Sequence[Seed] = find(self.snapshot, query, self.options) if find else ()
        return found

    def enough(self, query: Query) -> bool:
        """Whether the memory says that its seeds, as they were judged, leave nothing to search."""
        ask = getattr(self.memory, "enough", None)
        return bool(ask and ask(self.snapshot, query, self.options))


NOTHING = Lessons(none, none.Options())
