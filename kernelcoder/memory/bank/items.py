# SPDX-License-Identifier: Apache-2.0
"""What the bank holds: items, the experiences they came from, and both as a JSON snapshot.

An item is one lesson. An experience is one attempt (or several contrasted ones) with up to five
items; it is found by its key, the description of its task with the role and the failure it began
from. A lesson learnt again belongs to several experiences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kernelcoder.errors import Error
from kernelcoder.records import from_json, sha256, to_json

VERSION = 1
TITLE_WORDS, DESCRIPTION_WORDS, CONTENT_WORDS = 12, 40, 80
ROLES = ("draft", "refine")  # what values are kept for; all work on a parent counts as "refine"
Polarity = Literal["success", "failure"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts whose prompt held an item (``shown``) or would have held it but for a draw
    (``withheld``), and the sums of their shaped outcomes, each in [0, 1]."""

    shown: int = 0
    shown_sum: float = 0.0
    withheld: int = 0
    withheld_sum: float = 0.0

    def __post_init__(self) -> None:
        if self.shown < 0 or self.withheld < 0:
            raise ValueError("an item cannot be used less than never")


@dataclass(frozen=True, slots=True)
class Item:
    """One lesson; ``polarity`` is the verifier's label of what it was learnt from. ``scope`` is
    backend and family (machine and model are the cell's), ``created`` the number of tasks seen
    before, ``contradicts`` the ids of lessons that say the opposite."""

    id: str
    title: str
    description: str
    content: str
    polarity: Polarity
    scope: Mapping[str, str]
    provenance: tuple[str, ...]
    created: int
    value: Mapping[str, Tally] = field(default_factory=dict)
    contradicts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, most in (
            ("title", TITLE_WORDS),
            ("description", DESCRIPTION_WORDS),
            ("content", CONTENT_WORDS),
        ):
            words = len(getattr(self, name).split())
            if not 0 < words <= most:
                raise ValueError(f"the {name} of {self.id} has {words} words, not 1 to {most}")
        if self.polarity not in ("success", "failure"):
            raise ValueError(f"unknown polarity {self.polarity!r} of {self.id}")
        if not self.provenance or set(self.scope) != {"backend", "family"}:
            raise ValueError(f"{self.id} does not say where it comes from")
        if not set(self.value) <= set(ROLES):
            raise ValueError(f"{self.id} has values for unknown roles")

    @property
    def uses(self) -> int:
        """Attempts whose prompt held it."""
        return sum(tally.shown for tally in self.value.values())

    @property
    def withheld_uses(self) -> int:
        """Attempts from whose prompt a draw kept it."""
        return sum(tally.withheld for tally in self.value.values())

    @property
    def text(self) -> str:
        """As it stands in a prompt: in one line, so that it cannot pass for a part of it."""
        kind = "Worked" if self.polarity == "success" else "Failed"
        contested = " (Other attempts say otherwise.)" if self.contradicts else ""
        words = f"{kind}: {self.title}. {self.description} {self.content}{contested}"
        return " ".join(words.split())

    @property
    def lesson(self) -> str:
        """What two items are compared by."""
        return f"{self.title}. {self.content}"


@dataclass(frozen=True, slots=True)
class Experience:
    """What was learnt at one place: ``id`` is the provenance, ``task`` the task's id, ``key`` the
    text it is found by, ``items`` the ids of its lessons."""

    id: str
    task: str
    backend: str
    key: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bank:
    """All of it. ``tasks`` counts the tasks learnt from; ``refused`` the lessons filters took out,
    ``unread`` the questions that got no usable answer."""

    version: int = VERSION
    tasks: int = 0
    refused: int = 0
    unread: int = 0
    items: tuple[Item, ...] = ()
    experiences: tuple[Experience, ...] = ()

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"it is of version {self.version}, this code writes {VERSION}")
        known = {item.id for item in self.items}
        if len(known) != len(self.items):
            raise ValueError("two items have one id")
        if lost := {one for exp in self.experiences for one in exp.items} - known:
            raise ValueError(f"experiences name items that are not there: {sorted(lost)}")

    def save(self) -> Any:
        """The JSON value of the snapshot."""
        return to_json(self)


def load(snapshot: object) -> Bank:
    """The bank of a snapshot, empty for None; an :class:`Error` for what is none or is damaged."""
    if snapshot is None:
        return Bank()
    try:
        found = from_json(Bank, snapshot)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise Error(
            f"its snapshot cannot be read: {problem}",
            "memory reasoning_bank",
            "make FRESH=1 bench sets the cell aside (nothing is deleted) and starts it anew",
        ) from problem
    if not isinstance(found, Bank):
        raise AssertionError("from_json makes what it is asked for")
    return found


def item_id(title: str, content: str, polarity: str, provenance: str) -> str:
    """A stable name: the same lesson from the same place has the same id for ever."""
    return "rb-" + sha256("\0".join((title, content, polarity, provenance)))[:10]
