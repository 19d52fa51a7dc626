# SPDX-License-Identifier: Apache-2.0
"""Judge thousands of candidates in one go and see whether any verdict is lost or wrong or anything
piles up; exits with 1 if so."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelcoder.verify.soak import Outcome, Sample

_LISTED = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``soak``."""
    parser.add_argument("--candidates", type=int, default=10_000, metavar="N", help="judged in all")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="judged at a time")
    parser.add_argument(
        "--rounds", type=int, default=4, metavar="N",
        help="times each source is judged, under another key each time, compiled the first time",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the stream")
    parser.add_argument(
        "--kill", action="store_true", help="kill slots and candidates at random meanwhile"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write it as Markdown")


def run(args: argparse.Namespace) -> int:
    """Run, print as it goes, and judge the outcome."""
    from benchmarks.core import load
    from kernelcoder.errors import Error
    from kernelcoder.verify import VerifyOptions
    from kernelcoder.verify.oracle import quiet_torch
    from kernelcoder.verify.service import KernelVerifier
    from kernelcoder.verify.soak import soak
    from kernelcoder.verify.throughput import five_holdouts

    if min(args.candidates, args.workers, args.rounds) < 1:
        raise Error(
            "soak needs at least one candidate, worker and round",
            "command line",
            "give numbers above 0",
        )
    quiet_torch()
    options = VerifyOptions(False, 3, 30, 512, 1, "eager", False, 6)
    with tempfile.TemporaryDirectory(prefix="kernelcoder-") as folder:
        verifier = KernelVerifier(options, Path(folder), args.workers)
        outcome = soak(
            verifier,
            five_holdouts(load("relu")),
            args.candidates,
            args.rounds,
            args.workers,
            args.seed,
            8.0 if args.kill else None,
            say,
        )
    text = markdown(outcome)
    print(text)
    if args.write:
        load_average = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
        title = f"# Soak\n\nMade by `python -m kernelcoder soak {_flags(args)}`."
        where = f"{machine}, load average {load_average} at the end."
        args.write.write_text(f"{title}\n\n{where}\n\n{text}\n")
    return 0 if outcome.passed else 1


def _flags(args: argparse.Namespace) -> str:
    kill = " --kill" if args.kill else ""
    numbers = f"--candidates {args.candidates} --workers {args.workers} --rounds {args.rounds}"
    return f"{numbers} --seed {args.seed}{kill} --write {args.write}"


def say(sample: Sample) -> None:
    """One line of progress."""
    figures = ", ".join(f"{name} {value}" for name, value in sample.held.items())
    print(f"{sample.done} in {sample.seconds:.0f} s: {figures}", flush=True)


def markdown(outcome: Outcome) -> str:
    """The outcome as text: counts, wrong verdicts, trends."""
    each = outcome.seconds / outcome.candidates
    statuses = ", ".join(f"{n} {name}" for name, n in sorted(outcome.statuses.items()))
    kinds = ", ".join(f"{name} {n}" for name, n in sorted(outcome.kinds.items()))
    hits = outcome.kills
    kills = ", ".join(f"{n} times a {name}" for name, n in hits.items()) or "nothing"
    lines = [
        f"{outcome.candidates} verdicts on {outcome.distinct} distinct sources, {outcome.workers}"
        f" at a time, in {outcome.seconds:.0f} s ({each * 1e3:.0f} ms each, CPU"
        f" {outcome.cpu_seconds:.0f} s with compilers and ended slots). {outcome.shared} were taken"
        " over from a candidate with the same machine code.",
        "",
        f"- Lost: {outcome.lost}. Misjudged: {len(outcome.misjudged)}. Killed: {kills}.",
        f"- Verdicts: {statuses}.",
        f"- Mix: {kinds}.",
    ]
    lines += [
        f"- Misjudged: {kind}: {status}: {reason}"
        for kind, status, reason in outcome.misjudged[:_LISTED]
    ]
    lines += ["", "Over the second half (the first fills caches of a known size):", ""]
    lines += ["| held | at half | at the end | slope per 1000 | flat |", "|---|--:|--:|--:|---|"]
    lines += [
        f"| {trend.name} | {trend.first} | {trend.last} | {trend.slope:+.2f} |"
        f" {'yes' if trend.flat else 'NO'} |"
        for trend in outcome.trends
    ]
    return "\n".join(lines)
