# SPDX-License-Identifier: Apache-2.0
"""What the rule memory holds: rules, the pairs they are tested on, and who obeys what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kernelcoder.errors import Error
from kernelcoder.memory.rules.beta import lower_limit
from kernelcoder.records import from_json, sha256, to_json

VERSION = 1
RULE_WORDS = 40
PER_SCOPE = 25  # rules of one backend that are not dropped
PAIRS = 64  # the newest ones are kept, so that a snapshot stays within a megabyte or so
DROPPED = 100  # dropped rules remembered
RETEST = 4  # batches until a rule is tested again
DECAY = 0.9  # what a pair's weight is multiplied with every RETEST batches

Standing = Literal["new", "kept", "probation", "dropped"]
Answer = Literal["yes", "no", "n/a"]
ANSWERS = ("yes", "no", "n/a")


@dataclass(frozen=True, slots=True)
class Rule:
    """One checkable sentence. ``tasks`` were used to word it, so none of their pairs may test it;
    ``provenance`` also names attempts that suggested the same words later. ``informative``
    pairs told something of it, as of batch ``tested`` (-1: never); weighted by age they are
    ``pairs``, and in ``obeyed`` of these the better kernel was on its side."""

    id: str
    text: str
    backend: str
    families: tuple[str, ...]
    provenance: tuple[str, ...]
    tasks: tuple[str, ...]
    created: int
    tested: int = -1
    informative: int = 0
    obeyed: float = 0.0
    pairs: float = 0.0
    standing: Standing = "new"

    def __post_init__(self) -> None:
        if not 0 < len(self.text.split()) <= RULE_WORDS:
            raise ValueError(f"the rule {self.id} is no sentence of at most {RULE_WORDS} words")
        if self.standing not in ("new", "kept", "probation", "dropped"):
            raise ValueError(f"the rule {self.id} has an unknown standing {self.standing!r}")
        if not 0.0 <= self.obeyed <= self.pairs + 1e-9 or not self.tasks or not self.provenance:
            raise ValueError(f"the rule {self.id} contradicts itself")

    @property
    def lower(self) -> float:
        """The 80 % lower limit of the share of pairs that speak for it."""
        return lower_limit(self.obeyed, self.pairs)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of a pair: its source and the attempt it was."""

    source: str
    provenance: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kernels of one task, by the SHA-256 of their sources, the first the better one: ``right``
    where the other is wrong, ``faster`` where both are right. ``batch`` is when it came."""

    better: str
    worse: str
    why: Literal["right", "faster"]
    task: str
    backend: str
    family: str
    batch: int


@dataclass(frozen=True, slots=True)
class Book:
    """All of it. ``waiting`` are the tasks of the batch that is being gathered; ``answers`` says
    for each rule which kernel obeys it. ``repeated`` answers of the judge were asked for twice,
    ``agreed`` of them were the same; ``unread`` questions got no usable answer."""

    version: int = VERSION
    batches: int = 0
    repeated: int = 0
    agreed: int = 0
    unread: int = 0
    refused: int = 0
    waiting: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    pairs: tuple[Pair, ...] = ()
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"it is of version {self.version}, this code writes {VERSION}")
        named = {sha for pair in self.pairs for sha in (pair.better, pair.worse)}
        if lost := named - set(self.kernels):
            raise ValueError(f"{len(lost)} kernels of its pairs are not there")
        if len({rule.id for rule in self.rules}) != len(self.rules):
            raise ValueError("two rules have one id")
        if any(one not in ANSWERS for own in self.answers.values() for one in own.values()):
            raise ValueError("an answer is none of yes, no, n/a")

    @property
    def live(self) -> tuple[Rule, ...]:
        """The rules that are not dropped."""
        return tuple(rule for rule in self.rules if rule.standing != "dropped")

    def save(self) -> Any:
        """The JSON value of the snapshot."""
        return to_json(self)


def load(snapshot: object) -> Book:
    """The book of a snapshot, empty for None; an :class:`Error` for what is none or is damaged."""
    if snapshot is None:
        return Book()
    try:
        found = from_json(Book, snapshot)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise Error(
            f"its snapshot cannot be read: {problem}",
            "memory evol_rule",
            "make FRESH=1 bench sets the cell aside (nothing is deleted) and starts it anew",
        ) from problem
    if not isinstance(found, Book):
        raise AssertionError("from_json makes what it is asked for")
    return found


def rule_id(backend: str, text: str) -> str:
    """A stable name: the same words for the same backend have the same id for ever."""
    words = " ".join(text.lower().split())
    return "er-" + sha256(f"{backend} {words}")[:10]


def bounded(book: Book) -> Book:
    """The book within its bounds: the best rules of each backend, the newest dropped ones and
    pairs (those of waiting tasks in any case), and of kernels and answers only those that still
    belong to something."""
    rules: list[Rule] = []
    for backend in sorted({rule.backend for rule in book.rules}):
        live = [rule for rule in book.live if rule.backend == backend]
        rules += sorted(live, key=rank)[:PER_SCOPE]
    gone = [rule for rule in book.rules if rule.standing == "dropped"]
    rules += sorted(gone, key=lambda rule: (-rule.tested, rule.id))[:DROPPED]
    fresh = tuple(pair for pair in book.pairs if pair.task in book.waiting)
    older = tuple(pair for pair in book.pairs if pair.task not in book.waiting)
    pairs = older[max(0, len(book.pairs) - PAIRS) :] + fresh
    return replace(book, rules=tuple(rules), **_linked(book, rules, pairs))


def _linked(book: Book, rules: Iterable[Rule], pairs: tuple[Pair, ...]) -> dict[str, Any]:
    shas = {sha for pair in pairs for sha in (pair.better, pair.worse)}
    ids = {rule.id for rule in rules if rule.standing != "dropped"}
    return {
        "pairs": pairs,
        "kernels": {sha: kernel for sha, kernel in book.kernels.items() if sha in shas},
        "answers": {
            name: {sha: one for sha, one in own.items() if sha in shas}
            for name, own in book.answers.items()
            if name in ids
        },
    }


def rank(rule: Rule) -> tuple[bool, float, int, str]:
    """Kept rules first, then by lower limit, older first."""
    return (rule.standing != "kept", -rule.lower, rule.created, rule.id)
