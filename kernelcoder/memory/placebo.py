# SPDX-License-Identifier: Apache-2.0
"""Placebo: a prompt as long as with a memory, and nothing in it. The control for "more words".

It is the memory ``reasoning_bank`` with its default options, every call of it included, but what it
shows is put into other words: as many items, each as long to a word, about things that have nothing
to do with computing. What such prompts gain over those without a memory is owed to their length;
what the bank gains over this is owed to what it says, at the same cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelcoder.history import rng_of
from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query, reasoning_bank
from kernelcoder.records import sha256

learns = True

BANK = reasoning_bank.Options(
    experiences=1,
    threshold_percent=30,
    value_percent=0,
    capacity=500,
    parallel=False,
    sequential=False,
    rounds=4,
)
SENTENCES = (
    "The old bridge was painted green in the spring before the fair.",
    "A heron stands in the shallow water and waits for the evening.",
    "My grandmother kept her letters in a tin that smelled of cinnamon.",
    "The bakery on the corner sells its last rye bread before noon.",
    "Snow fell on the orchard, and the children brought their sledges.",
    "He tuned the piano twice and still disliked the highest note.",
    "They sailed past the lighthouse with a fair wind from the west.",
    "The museum lent three portraits to a town in the mountains.",
    "Her coat had wooden buttons and a lining of blue silk.",
    "On Sundays the brass band plays under the chestnut trees.",
    "A goat had eaten the tulips again, so they built a taller wall.",
    "The soup wants more thyme and a little less pepper.",
    "Two owls nest in the belfry and nobody minds them.",
    "The ferry was late because of fog on the river.",
    "He bought a lamp at the market and carried it home in the rain.",
    "In autumn the vineyard turns red from the hill downward.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """No options: those of the bank at their defaults."""


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """The bank's items with other texts of their length."""
    items = reasoning_bank.provide(snapshot, query, BANK)
    return tuple(
        ContextItem(item.id, neutral(item.id, len(item.text)), item.provenance) for item in items
    )


def observe(snapshot: object, finished: Finished, io: IO, options: Options) -> object:
    """What the bank learns."""
    return reasoning_bank.observe(snapshot, finished, io, BANK)


def neutral(name: str, length: int) -> str:
    """Sentences that follow from a name, cut at a word so that there are at most ``length``
    characters, and less by no more than a word."""
    rng, words = rng_of(sha256(f"placebo {name}")), list[str]()
    while len(" ".join(words)) <= length:
        words += rng.choice(SENTENCES).split()
    while len(" ".join(words)) > length:
        words.pop()
    return " ".join(words)
