# SPDX-License-Identifier: Apache-2.0
"""Iterative refinement: show the model its own kernel and what the verifier said of it.

Source: reference specification of methods, M2. ``WIDTH`` chains run side by side (ordinal t belongs
to chain t mod WIDTH and sees only its own chain). The focus is the fastest verified kernel of the
chain; a later one takes over only by a gain above the noise of timing. Nothing verified yet:
the failure that came farthest, the newest of equals. ``FOCUS_LAST`` always takes the newest.
After ``PATIENCE`` tries on one focus without a gain the chain starts again from a fresh draft.
A verified seed of a memory is a start like a draft, of chain 0; one that failed is passed over.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.records import Attempt, Proposal

draft_only = False
anytime = True
STARTS = ("draft", "seed", "probe")  # roles that begin a lineage
HISTORY = 3  # one-line summaries of the chain's latest other attempts in each prompt


@dataclass(frozen=True, slots=True)
class Options:
    """``width`` chains; ``focus_last``: newest instead of best; ``patience`` tries, 0 for ever."""

    width: int
    focus_last: bool
    patience: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Refine (verified focus), debug (failed focus) or draft (no code yet, or stuck)."""
    chain = history.ordinal % options.width
    mine = [
        attempt
        for attempt in history.attempts
        if attempt.proposal.chain == chain
        and (attempt.verdict.verified or not attempt.proposal.given)
    ]
    run = [attempt for attempt in _since_draft(mine) if attempt.candidate is not None]
    if not run:
        return Proposal("draft", chain=chain)
    focus = run[-1] if options.focus_last else _best(history, run)
    pending = [proposal for _, proposal in history.pending if proposal.chain == chain]
    tries = sum(focus.ordinal in attempt.proposal.parents for attempt in mine)
    tries += sum(focus.ordinal in proposal.parents for proposal in pending)
    restarting = any(proposal.role == "draft" for proposal in pending)
    if options.patience and tries >= options.patience and not restarting:
        return Proposal("draft", chain=chain)
    return Proposal(
        "refine" if focus.verdict.verified else "debug", parents=(focus.ordinal,), chain=chain
    )


def _since_draft(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """The lineage of a chain's latest starts. Several starts in a row count as one start: with a
    window above 1 a chain drafts until it sees its first result. Late children of an older lineage
    are left out."""
    start = 0
    for place, attempt in enumerate(attempts):
        follows = place and attempts[place - 1].proposal.role in STARTS
        if attempt.proposal.role in STARTS and not follows:
            start = place
    kin: list[Attempt] = []
    known: set[int] = set()
    for attempt in attempts[start:]:
        if known.issuperset(attempt.proposal.parents):
            kin.append(attempt)
            known.add(attempt.ordinal)
    return kin


def _best(history: History, attempts: Sequence[Attempt]) -> Attempt:
    """Fastest verified attempt, noise ignored; else the highest shaped value, newest of equals."""
    right = [attempt for attempt in attempts if attempt.verdict.verified]
    if not right:
        return max(attempts, key=lambda attempt: (history.shaped(attempt), attempt.ordinal))
    focus = right[0]
    for attempt in right[1:]:
        if history.score(attempt) > history.score(focus) + math.log1p(history.noise):
            focus = attempt
    return focus
