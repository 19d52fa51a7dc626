# SPDX-License-Identifier: Apache-2.0
"""Uniform: every arm with the same probability. The control of a router that learns, and the best
log to judge other routers from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from kernelcoder.routing import Outcome, Pick, Situation, drawn

PREFIX = "ROUTER_UNIFORM"
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
    """A draw among equals."""
    return drawn({name: 1.0 / len(arms) for name in arms}, rng, "drawn among equals")
