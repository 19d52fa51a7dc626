# SPDX-License-Identifier: Apache-2.0
"""How many candidates a minute the verifier judges, and how well its timing repeats (A/A)."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelcoder.verify.throughput import Rate, Repeatability

_AA = (("relu", 0), ("softmax", 0), ("matmul", 0), ("relu", 1))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``bench-verify``."""
    parser.add_argument(
        "--candidates", type=int, default=100, metavar="N", help="distinct candidates per figure"
    )
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="A/A trials per case; 0 leaves them out"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write the tables as Markdown"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and keep if asked to."""
    from benchmarks.core import load
    from kernelcoder.records import to_json
    from kernelcoder.verify import VerifyOptions, throughput, timing
    from kernelcoder.verify.oracle import quiet_torch

    quiet_torch()
    options = VerifyOptions(True, 10, 30, 2048, 1, "eager", False, 6)
    with tempfile.TemporaryDirectory(prefix="kernelcoder-") as folder:
        cache = Path(folder)
        rates = throughput.rates(load("relu"), options, cache, args.candidates)
        pairs = [(load(name), load(name).timing[index]) for name, index in _AA if args.trials]
        repeats = [
            throughput.repeatability(
                task, case, timing.CALLS[timing.regime(case)], options, cache, args.trials
            )
            for task, case in pairs
        ]
    if args.json:
        print(json.dumps({"throughput": to_json(rates), "aa": to_json(repeats)}))
        return 0
    text = _markdown(rates, repeats)
    print(text)
    if args.write:
        parts = ["# Verifier: throughput and repeatability", _command(args), _machine(), text]
        args.write.write_text("\n\n".join(parts) + "\n")
    return 0


def _command(args: argparse.Namespace) -> str:
    flags = f"--candidates {args.candidates} --trials {args.trials} --write {args.write}"
    return f"Made by `python -m kernelcoder bench-verify {flags}`."


def _machine() -> str:
    import os
    import platform

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {system}, load average {load} at the end."


def _markdown(rates: list[Rate], repeats: list[Repeatability]) -> str:
    lines = [
        "Per candidate. CPU: judge, compiler, slot and candidate together. Candidates are distinct"
        " programs, so none is spared by another's result.",
        "",
        "| relu candidates | workers | n | right | per minute | wall ms | CPU ms"
        " | of it compiling |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.name} | {r.workers} | {r.n} | {r.verified} | {r.per_minute:.0f} | {r.wall_ms:.1f} |"
        f" {r.cpu_ms:.2f} | {r.compile_ms:.1f} |"
        for r in rates
    ]
    lines += ["", *_ratios(rates)]
    if repeats:
        lines += [
            "",
            "Identical kernels against each other (fresh slots, swapped roles); error is"
            " |ratio - 1|.",
            "",
            "| A/A | trials | median error | 95th percentile | s per trial |",
            "|---|--:|--:|--:|--:|",
        ]
    lines += [
        f"| {r.case} | {r.n} | {r.median:.2%} | {r.p95:.2%} | {r.seconds:.2f} |" for r in repeats
    ]
    return "\n".join(lines)


def _ratios(rates: list[Rate]) -> list[str]:
    """Ours over the peer's, same number of workers, each compiling every candidate."""
    from kernelcoder.verify.throughput import COMPILED, PEER

    lines = []
    for other in (rate for rate in rates if rate.name == PEER):
        for own in (r for r in rates if r.name == COMPILED and r.workers == other.workers):
            lines.append(
                f"- {own.workers} worker{'s' * (own.workers > 1)}, compiled:"
                f" {own.per_minute / other.per_minute:.1f} times the peer's candidates per minute,"
                f" {other.cpu_ms / own.cpu_ms:.1f} times less CPU each"
                f" ({own.n} candidates against {other.n})."
            )
    return lines
