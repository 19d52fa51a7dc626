# SPDX-License-Identifier: Apache-2.0
"""The only sentences that say "verified" or "faster", each made from row fields alone.

Every positive claim carries its denominator and its interval. No function here takes free text, so
nothing a candidate, compiler or server writes can become a claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.wording import SIMULATED, UNKNOWN, count, money, tally

Row = Mapping[str, Any]
AXES = ("method", "memory", "model", "backend", "suite", "seed")

STATUS_WORDS: Mapping[str, str] = {
    "verified": "verified",
    "incorrect": "the answer was wrong",
    "compile_error": "the compiler refused it",
    "runtime_error": "it failed while running",
    "timeout": "it ran out of time",
    "crashed": "it crashed",
    "oom": "it asked for too much memory",
    "cheating": "it cheated",
    "refused": "it was not admitted",
    "no_candidate": "the reply held no kernel",
    "infra_error": "the machine failed (quarantined)",
}
STAGE_WORDS: Mapping[str, str] = {
    "generated": "asked",
    "compiled": "compiled",
    "smoke_passed": "passed the visible cases",
    "verified": "verified on hidden cases",
    "measured": "measured",
}
DEFINITIONS = (
    "A task counts as verified when its chosen kernel was right on every hidden case.",
    "Speedups are baseline time / kernel time, re-timed in fresh processes after the search; "
    "search timings are never results.",
    "geomean over all: every task counts, failures at 1.0 and slower kernels at their true value; "
    "with a verified kernel whose speedup is unknown the mean is unknown too.",
    "geomean over verified: verified and timed tasks only, so two cells may differ in tasks.",
    "fast_1: share of all tasks whose kernel is verified and faster than the baseline (median).",
    "Intervals are 95%: Wilson for shares, bootstrap over tasks for means.",
    "Attempts that the machine failed (infra_error) are quarantined: counted apart, in no rate.",
    "Tokens and cost are charged, replayed calls included; unknown is never counted as 0.",
)


def labels(rows: Sequence[Row]) -> list[str]:
    """Short names: only the axes in which the rows differ; the id's digest where they do not."""
    differing = [axis for axis in AXES if len({str(row.get(axis)) for row in rows}) > 1]
    names = [
        " ".join(f"s{row[axis]}" if axis == "seed" else str(row[axis]) for axis in differing)
        or str(row["method"])
        for row in rows
    ]
    return [
        f"{name} {str(row['cell'])[-8:]}" if names.count(name) > 1 else name
        for name, row in zip(names, rows, strict=True)
    ]


def times(value: float | None) -> str:
    """A speedup with three significant digits below 10: 0.87, 1.42, 12.3."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def interval(row: Row, name: str, percent: bool = False) -> str:
    """``1.42 [1.21, 1.66]`` or ``90% [70, 97]`` from fields name, name_lo, name_hi."""
    value, lo, hi = row.get(name), row.get(f"{name}_lo"), row.get(f"{name}_hi")
    if value is None:
        return "-"
    if percent:
        head = f"{100 * value:.0f}%"
        return head if lo is None or hi is None else f"{head} [{100 * lo:.0f}, {100 * hi:.0f}]"
    head = times(value)
    return head if lo is None or hi is None else f"{head} [{times(lo)}, {times(hi)}]"


def second_baseline(rows: Sequence[Row]) -> str:
    """The baseline shown beside the main one: compile, or eager where compile is the main one."""
    return "eager" if all(row["baseline"] == "compile" for row in rows) else "compile"


def verified_share(row: Row) -> dict[str, Any]:
    """The share of verified tasks as fields for :func:`interval`."""
    n = row["n_tasks"]
    share = row["n_verified"] / n if n else None
    return {"share": share, "share_lo": row["verified_lo"], "share_hi": row["verified_hi"]}


def proposer(row: Row) -> str:
    """What made the kernels, said plainly where it was no language model."""
    if row["language_model"]:
        return f"language model {row['model_id']}"
    if str(row["model_id"]).startswith("sim:"):
        return f"no language model; {SIMULATED}"
    return "recipe search, no language model"


def headline(row: Row) -> list[str]:
    """Sentences that sum up one cell, with denominators and intervals."""
    n, good, base = row["n_tasks"], row["n_verified"], row["baseline"]
    caveat = [] if row["finished"] else ["Unfinished: the numbers will change."]
    if row["mode"] == "simulated":
        caveat.insert(0, f"{SIMULATED.capitalize()}.")
    if not n:
        return ["No task has begun.", *caveat]
    share = interval(verified_share(row), "share", percent=True)
    said = [f"{good} of {tally(n, 'task')} verified: {share}.", *caveat]
    if not good:
        return said
    if row["geomean_all"] is None and row["n_timed"]:
        n_open = good - row["n_timed"]
        return [*said, f"Speed over {base}: unknown for {n_open} of {tally(n, 'task')}."]
    if row["geomean_all"] is None:
        mode = row["mode"]
        how = f"Kernels were {mode}, not run natively: s" if mode not in (None, "native") else "S"
        return [*said, f"{how}peed was not measured."]
    said.append(
        f"Speed over {base}: {interval(row, 'geomean_all')} over all {tally(n, 'task')}, "
        f"failures at 1.0; {interval(row, 'geomean_verified')} over the {row['n_timed']} verified "
        "and timed."
    )
    sure = row["n_faster_sure"]
    said.append(f"{sure} of {tally(n, 'task')} faster than {base} with the whole interval above 1.")
    return said


def task_claim(row: Row) -> str:
    """One phrase on a task row: what may be said of its chosen kernel, and no more."""
    outcome, base = row["outcome"], row["baseline"]
    if outcome != "verified":
        return outcome_words(outcome)
    if row.get(base) is None:
        timed = row.get("kernel_seconds") is not None
        return f"verified, speed over {base} unknown" if timed else "verified, not timed"
    lo, hi = row[f"{base}_lo"], row[f"{base}_hi"]
    if lo > 1.0:
        return f"verified, faster than {base}"
    if hi < 1.0:
        return f"verified, slower than {base}"
    return f"verified, no clear difference from {base}"


def outcome_words(outcome: str) -> str:
    """A task's outcome for a table; unknown words are a bug, not a claim."""
    return {
        "verified": "verified",
        "not reproduced": "not reproduced when run again",
        "not re-timed": "the machine failed when it was timed again",
        "failed": "no right kernel",
        "quarantined": "the machine failed at every attempt",
        "in progress": "in progress",
    }[outcome]


def tokens(row: Row) -> str:
    """Charged tokens; "none" where no language model was asked."""
    if row["tokens"] is None and not row["language_model"]:
        return "none"
    return count(row["tokens"])


def cost(row: Row) -> str:
    """Charged US dollars; "none" where no language model was asked."""
    if row["cost"] is None:
        return UNKNOWN if row["language_model"] else "none"
    return money(row["cost"])
