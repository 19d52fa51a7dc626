# SPDX-License-Identifier: Apache-2.0
"""What an item is worth, from the attempts it was shown to and those it was withheld from.

The outcome of an attempt is its shaped value in [0, 1] (history.py). The value of an item for a
role is the mean outcome with it less the mean without: without, by a random draw, where items are
withheld; else the mean of all attempts of the role, which is no experiment. The uncertainty is
Hoeffding's (1963), which holds for any distribution in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kernelcoder.memory import Finished
from kernelcoder.memory.bank.items import Item, Tally
from kernelcoder.memory.words.evidence import history
from kernelcoder.records import Attempt

HELD = "withheld:"
_LOG = math.log(1 / 0.1) / 2  # one-sided 90 % limits
ENOUGH = 10  # uses before an item can be evicted for its value


def role_of(role: str) -> str:
    """The role values are kept under."""
    return "draft" if role in ("draft", "seed", "plan") else "refine"


def credited(items: Sequence[Item], finished: Finished) -> tuple[Item, ...]:
    """The items with the outcomes of a task's attempts added to those that were in their
    prompts."""
    past, tallies = history(finished), {item.id: dict(item.value) for item in items}
    for attempt in finished.attempts:
        if attempt.verdict.status == "infra_error":
            continue
        reward, role = past.shaped(attempt), role_of(attempt.proposal.role)
        for name in finished.context.get(attempt.ordinal, ()):
            own = tallies.get(name.removeprefix(HELD))
            if own is not None:
                own[role] = _added(own.get(role, Tally()), reward, name.startswith(HELD))
    return tuple(replace(item, value=tallies[item.id]) for item in items)


def _added(tally: Tally, reward: float, withheld: bool) -> Tally:
    if withheld:
        total = tally.withheld_sum + reward
        return replace(tally, withheld=tally.withheld + 1, withheld_sum=total)
    return replace(tally, shown=tally.shown + 1, shown_sum=tally.shown_sum + reward)


def means(items: Sequence[Item]) -> dict[str, float]:
    """The mean outcome of each role over all that was ever counted, 0.5 where nothing was."""
    found = {}
    for role in ("draft", "refine"):
        mine = [item.value[role] for item in items if role in item.value]
        count = sum(one.shown + one.withheld for one in mine)
        total = math.fsum(one.shown_sum + one.withheld_sum for one in mine)
        found[role] = total / count if count else 0.5
    return found


def limits(item: Item, role: str, mean: Mapping[str, float]) -> tuple[float, float]:
    """Lower and upper limit of an item's value for a role, in [-1, 1]; the whole range if it was
    never shown."""
    tally = item.value.get(role, Tally())
    if not tally.shown:
        return -1.0, 1.0
    value, spread = tally.shown_sum / tally.shown, math.sqrt(_LOG / tally.shown)
    if tally.withheld:
        value -= tally.withheld_sum / tally.withheld
        spread += math.sqrt(_LOG / tally.withheld)
    else:
        value -= mean[role]
    return max(-1.0, value - spread), min(1.0, value + spread)


def kept(items: Sequence[Item], capacity: int) -> tuple[Item, ...]:
    """At most ``capacity`` items of each backend. The one with the lowest lower limit goes first,
    among those with ten uses; while there is none of these, the oldest."""
    left = list(items)
    for backend in sorted({item.scope["backend"] for item in left}):
        while sum(item.scope["backend"] == backend for item in left) > capacity:
            left.remove(_worst([one for one in left if one.scope["backend"] == backend]))
    return tuple(left)


def _worst(items: Sequence[Item]) -> Item:
    mean = means(items)
    tried = [item for item in items if item.uses >= ENOUGH]
    if not tried:
        return min(items, key=lambda item: (item.created, item.id))
    return min(tried, key=lambda one: (max(limits(one, r, mean)[0] for r in one.value), one.id))


def shaped(finished: Finished, attempt: Attempt) -> float:
    """An attempt's outcome in [0, 1]."""
    return history(finished).shaped(attempt)
