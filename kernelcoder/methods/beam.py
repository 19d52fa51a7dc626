# SPDX-License-Identifier: Apache-2.0
"""Idea-first beam: techniques in words, a draft for each, then rounds on the best few kernels.

Source: the natural-language search of Stanford CRFM and reference specification M13. The first
IDEAS attempts are drafts that implement one idea each; the step recipe ``ideas`` asks for the ideas
in words, once per task. After that every WIDTH x BRANCH attempts are a round: the WIDTH best
distinct kernels from before it are each expanded BRANCH times, right ones with another idea of
their own, failing ones mended. Parents stay in the running, so the best kernel cannot be lost.
Rounds are counted in ordinals: a round begins whatever is still under way and uses what it can see.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.evolution.sources import fingerprint
from kernelcoder.records import Attempt, Proposal

draft_only = False
anytime = True
STEPS = ("ideas",)


@dataclass(frozen=True, slots=True)
class Options:
    """``ideas`` drafted first; ``width`` kernels kept; ``branch`` children each in a round."""

    ideas: int
    width: int
    branch: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Draft an idea, or expand the member of the beam whose turn it is. ``chain`` is the number of
    the idea to implement, counted among the children of one parent."""
    place = history.ordinal - history.issued("seed", "probe")
    if place < options.ideas:
        return Proposal("draft", chain=place, step="ideas")
    slot = (place - options.ideas) % (options.width * options.branch)
    begin = history.ordinal - slot
    kept = beam(history, (one for one in history.attempts if one.ordinal < begin), options.width)
    if not kept:
        return Proposal("draft", chain=history.issued("draft"), step="ideas")
    parent = kept[slot % len(kept)]
    if not parent.verdict.verified:
        return Proposal("debug", parents=(parent.ordinal,))
    issued = [one.proposal for one in history.attempts] + [one for _, one in history.pending]
    children = sum(one.parents == (parent.ordinal,) for one in issued)
    return Proposal("refine", parents=(parent.ordinal,), chain=children, step="ideas")


def beam(history: History, attempts: Iterable[Attempt], width: int) -> list[Attempt]:
    """The ``width`` best distinct kernels: verified ones by score, the earlier of equals; then
    failures by how far they came, the newer of equals. Kernels that differ in comments and white
    space only are one; seeds that failed are none."""
    found: list[Attempt] = []
    prints: set[str] = set()
    for one in sorted(attempts, key=lambda one: _rank(history, one)):
        if one.candidate is None or one.proposal.given and not one.verdict.verified:
            continue
        name = fingerprint(one.candidate.source, one.candidate.language)
        if name not in prints and len(found) < width:
            prints.add(name)
            found.append(one)
    return found


def _rank(history: History, attempt: Attempt) -> tuple[bool, float, int]:
    if attempt.verdict.verified:
        return False, -history.score(attempt), attempt.ordinal
    return True, -history.shaped(attempt), -attempt.ordinal
