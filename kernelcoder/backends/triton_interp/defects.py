# SPDX-License-Identifier: Apache-2.0
"""What was seen wrong in the launches of a child: gathered while they run, told after each call.

The run goes on after a defect with the bad access left out, so that nothing outside a tensor is
ever touched; the first one is told. Kinds are those of ``verify/defects.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_MOST = 16


@dataclass(slots=True)
class Record:
    """Defects decide the verdict; notes are worth knowing and no more, and said once each."""

    defects: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    notes: dict[tuple[object, ...], tuple[str, dict[str, object]]] = field(default_factory=dict)
    told: int = 0

    def defect(self, kind: str, **places: object) -> None:
        """Remember what makes the verdict."""
        if len(self.defects) < _MOST:
            self.defects.append((kind, places))

    def note(self, kind: str, **places: object) -> None:
        """Remember a remark."""
        key = (kind, *places.values())
        if len(self.notes) < _MOST:
            self.notes.setdefault(key, (kind, places))

    def settle(self, harness: Any) -> None:
        """Tell the harness: a defect ends the child."""
        for kind, places in list(self.notes.values())[self.told :]:
            harness.note(kind, places)
        self.told = len(self.notes)
        if self.defects:
            kind, places = self.defects[0]
            harness.defect(kind, **places)
