# SPDX-License-Identifier: Apache-2.0
"""How numbers are written wherever the lab speaks: one form each, and "unknown" for what nobody
knows (never a zero, never a question mark)."""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = "unknown"
# Stands wherever a result of the made-up world does.
SIMULATED = "simulated: says nothing about language models"
# Evidence that a verdict was taken over. Whom a candidate shares it with depends on what the
# process judged before, so this says how a run went and not what it found.
TAKEN_OVER = "same machine code as an earlier candidate"
# What ``Verdict.checked`` may count, in the order in which it is shown.
CHECKS: Mapping[str, str] = {
    "symbols": "symbols audited",
    "cases": "cases",
    "hidden_cases": "of them hidden",
    "passes": "passes",
    "calls": "kernel calls",
    "elements": "elements compared",
    "properties": "properties",
    "timed_rounds": "timed rounds",
    "wild_rounds": "of them on wild inputs",
    "spot_checks": "outputs checked while timed",
    "operators": "library operators seen",
    "samples": "program counter samples",
}


def tally(n: int, noun: str) -> str:
    """``1 task``, ``20 tasks``."""
    return f"{n} {noun}" + ("" if n == 1 else "s")


def count(value: int | None) -> str:
    """912, 49.4k, 1.2M; "unknown" for None."""
    if value is None:
        return UNKNOWN
    if value < 10_000:
        return str(value)
    return f"{value / 1000:.1f}k" if value < 1_000_000 else f"{value / 1e6:.1f}M"


def money(usd: float | None) -> str:
    """US dollars: $12.50, $0.0132 below one dollar; "unknown" for None."""
    if usd is None:
        return UNKNOWN
    return f"${usd:.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def duration(seconds: float | None) -> str:
    """8.4 s, 42 s, 3:05, 2:03:10; "unknown" for None."""
    if seconds is None:
        return UNKNOWN
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def checks(checked: Mapping[str, int]) -> str:
    """What a verdict looked at: ``27 symbols audited, 57 cases, 50 of them hidden, ...``; "" if it
    counted nothing."""
    return ", ".join(f"{n:,} {CHECKS.get(name, name)}" for name, n in checked.items())
