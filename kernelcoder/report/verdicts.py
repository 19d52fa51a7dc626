# SPDX-License-Identifier: Apache-2.0
"""The four sentences a reader needs first, each made from numbers alone: which configuration won,
by how much, how sure that is, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernelcoder.report import claims
from kernelcoder.report.standings import LEVEL, League, Spent, Standing
from kernelcoder.wording import count, duration, money, tally

MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Said:
    """One league's answers; each is a sentence or two."""

    who: str
    much: str
    sure: str
    cost: str

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Question and answer, in order."""
        return (
            ("Which won", self.who), ("By how much", self.much),
            ("How sure", self.sure), ("At what cost", self.cost),
        )  # fmt: skip


def verdict(league: League) -> Said | None:
    """The answers, None where no finished group has a measured speed."""
    if not league.ranked:
        return None
    first, *others = league.ranked
    return Said(_who(first, others), _much(first, others), _sure(others), _cost(first, others))


def made_by(league: League) -> str:
    """What made the kernels, said plainly where it was no language model."""
    runs = [run for one in league.everyone for run in one.group.runs]
    known = {
        claims.proposer({"language_model": run.language_model, "model_id": run.model_id})
        for run in runs
    }
    return f"Kernels by: {'; '.join(sorted(known))}."


def _alike(others: Sequence[Standing]) -> list[Standing]:
    return [one for one in others if not one.behind]


def _who(first: Standing, others: Sequence[Standing]) -> str:
    name = first.group.label
    if not others:
        return f"Nothing to rank: {name} is the only configuration."
    alike = _alike(others)
    if not alike:
        return f"{name} won against {_all(len(others))}."
    if len(alike) == len(others):
        return f"No winner: {name} is first, but cannot be told from {_all(len(others))}."
    return (
        f"{name} is first; it beats {len(others) - len(alike)} of {len(others)} others and cannot "
        f"be told from {_names(alike)}."
    )


def _all(n: int) -> str:
    return "the other" if n == 1 else f"any of the {n} others" if n > 2 else "either other"


def _names(some: Sequence[Standing]) -> str:
    names = [one.group.label for one in some]
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _much(first: Standing, others: Sequence[Standing]) -> str:
    base = next((task.baseline for run in first.group.runs for task in run.tasks), "the baseline")
    text = (
        f"{claims.times(first.speed)}x the speed of {base}{span(first.interval)}: geometric mean "
        f"over {tally(first.n_tasks, 'task')}{_seeds(first)}, failures at 1.0; "
        f"{100 * first.verified:.0f}% of tasks verified."
    )
    c = others[0].contrast if others else None
    if c is None or c.ratio is None:
        return text
    return f"{text} {claims.times(c.ratio)}x{span(c.ratio_interval)} the next, {c.a}."


def span(interval: tuple[float, float] | None) -> str:
    """`` [1.21, 1.66]``, nothing for None."""
    if interval is None:
        return ""
    return f" [{claims.times(interval[0])}, {claims.times(interval[1])}]"


def _seeds(one: Standing) -> str:
    return f" x {tally(one.n_seeds, 'seed')}" if one.n_seeds > 1 else ""


def _sure(others: Sequence[Standing]) -> str:
    found = [one.contrast for one in others if one.contrast and one.contrast.p_holm is not None]
    if not found:
        return "Nothing was compared."
    behind = sum(one.behind for one in others)
    text = (
        f"Paired per task and corrected for {tally(len(found), 'comparison')} (Holm), p is below "
        f"{LEVEL:g} for {behind} of them"
    )
    c = found[0]
    if c.p_holm is not None:
        text += f"; against the next it is {_p(c.p_holm)}"
    if c.detectable is not None:
        text += (
            f". Between these two, a true ratio of {claims.times(c.detectable)} or more would be "
            "found with 80% power"
        )
    return f"{text}. Intervals are 95%."


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cost(first: Standing, others: Sequence[Standing]) -> str:
    text = f"{first.group.label}: {spent(first.spent)}."
    if others:
        text += f" The next: {spent(others[0].spent)}."
    alike = [first, *_alike(others)]
    cheap = min(alike, key=lambda one: _price(one.spent))
    if cheap is not first and _price(cheap.spent) < _price(first.spent):
        text += f" The cheapest that cannot be told from it is {cheap.group.label}."
    return text


def _price(one: Spent) -> tuple[float, ...]:
    """By money, then tokens, then seconds of the verifier; what is unknown is dear."""
    usd = one.usd if one.usd is not None else (0.0 if not one.calls else float("inf"))
    tokens = one.tokens if one.tokens is not None else float("inf")
    return (usd, tokens, one.device_s)


def spent(one: Spent) -> str:
    """``$0.12 charged ($0.04 paid), 49.4k tokens, 120 attempts, 2:05 of the verifier``."""
    parts = []
    if one.usd is not None:
        parts.append(f"{money(one.usd)} charged ({money(one.usd_paid)} paid)")
    if one.tokens is not None:
        parts.append(f"{count(one.tokens)} tokens")
    parts.append(tally(one.attempts, "attempt"))
    parts.append(f"{duration(one.device_s)} of the verifier")
    return ", ".join(parts)
