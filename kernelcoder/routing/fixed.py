# SPDX-License-Identifier: Apache-2.0
"""Fixed: always the first arm of the list. What a router is compared with, one cell per arm."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from kernelcoder.routing import Outcome, Pick, Situation, sure

PREFIX = "ROUTER_FIXED"
carries = False
looks = False


@dataclass(frozen=True, slots=True)
class Options:
    """No options."""


def begin(snapshot: object, options: Options) -> object:
    """Nothing is known."""
    return None


def learn(snapshot: object, outcome: Outcome, arms: Sequence[str], options: Options) -> object:
    """Nothing is learnt."""
    return None


def choose(
    snapshot: object,
    situation: Situation,
    arms: Sequence[str],
    options: Options,
    rng: random.Random,
) -> Pick:
    """The first arm."""
    return sure(arms[0], arms, "the only arm in use")
