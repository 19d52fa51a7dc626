# SPDX-License-Identifier: Apache-2.0
"""The arms of a cell as they are used: a router, and for each arm an open model and a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.models import Model


@dataclass(frozen=True, slots=True)
class Route:
    """One arm: the id of its model, the model, and the name of its step recipe."""

    model_id: str
    model: Model
    step: str


@dataclass(frozen=True, slots=True)
class Routes:
    """A router (module and options) with its arms by name, in the order they were listed."""

    router: Any
    options: Any
    arms: Mapping[str, Route] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The router's name, as in ROUTER."""
        return str(self.router.__name__.rpartition(".")[2])

    @property
    def looks(self) -> bool:
        """Whether a choice depends on results, so that attempts have to wait for them."""
        return bool(self.router.looks)

    def model_id(self, arm: str, otherwise: str) -> str:
        """The model of an arm; ``otherwise`` where no arm was chosen."""
        return self.arms[arm].model_id if arm in self.arms else otherwise

    def beyond(self, arm: str) -> list[str]:
        """The arms to try when this one's model does not answer: the later ones with a model that
        was not asked yet. Empty unless the router was told to go on for that."""
        falls = getattr(self.router, "falls", None)
        if arm not in self.arms or not falls or not falls(self.options):
            return []
        names = list(self.arms)
        asked = {self.arms[arm].model_id}
        found = []
        for name in names[names.index(arm) + 1 :]:
            if self.arms[name].model_id not in asked:
                asked.add(self.arms[name].model_id)
                found.append(name)
        return found
