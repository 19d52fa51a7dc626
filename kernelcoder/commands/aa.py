# SPDX-License-Identifier: Apache-2.0
"""How well timing repeats: identical kernels (A/A), and a true difference of 5 %, under load."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelcoder.verify.aa import Difference, Repeatability

TASKS = ("relu", "softmax", "matmul")
# Of these a kernel that repeats a twentieth of its rows takes a twentieth longer; relu waits for
# memory, and rows repeated come from a cache.
DIFFERENT = ("softmax", "matmul")
# What the final timing of a bench has unless its configuration says otherwise.
BLOCKS, SECONDS = 6, 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``aa``."""
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="A/A trials per case")
    parser.add_argument(
        "--differences", type=int, default=40, metavar="N", help="trials of the 5 %% difference"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], metavar="T", help="threads allowed"
    )
    parser.add_argument(
        "--load", type=int, default=1, metavar="P", help="busy processes in the background"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), choices=TASKS, help="operators; default: all"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write the tables as Markdown"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and keep if asked to."""
    from benchmarks.core import load
    from kernelcoder.records import to_json
    from kernelcoder.verify import VerifyOptions, aa
    from kernelcoder.verify.oracle import quiet_torch

    quiet_torch()
    same: list[Repeatability] = []
    different: list[Difference] = []
    with tempfile.TemporaryDirectory(prefix="kernelcoder-") as folder, aa.background(args.load):
        for threads in args.threads:
            options = VerifyOptions(
                True, 10, 30, 2048, threads, "reference", False, BLOCKS, SECONDS
            )
            with aa.Trials(options, Path(folder)) as trials:
                for name in args.tasks:
                    same += trials.same(load(name), args.trials)
                    if threads == 1 and name in DIFFERENT and args.differences:
                        different.append(trials.different(load(name), args.differences))
        roofs = _roofs(Path(folder))
        busy = _machine(args.load)
    if args.json:
        found = {"aa": to_json(same), "differences": to_json(different), "roofs": roofs}
        print(json.dumps(found))
        return 0
    text = _markdown(same, different, roofs)
    print(text)
    if args.write:
        parts = ["# Timing: A/A and a true difference", _command(args), busy, text]
        args.write.write_text("\n\n".join(parts) + "\n")
    return 0


def _command(args: argparse.Namespace) -> str:
    flags = f"--trials {args.trials} --differences {args.differences} --load {args.load}"
    threads, tasks = " ".join(map(str, args.threads)), " ".join(args.tasks)
    return (
        f"Made by `python -m kernelcoder aa {flags} --threads {threads} --tasks {tasks}"
        f" --write {args.write}`."
    )


def _machine(load: int) -> str:
    average = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{load} busy background processes of its own; {os.cpu_count()} cores,"
        f" {platform.system()} {platform.release()}, load average {average} at the end."
    )


def _roofs(cache: Path) -> dict[str, float]:
    """What the roofline of this machine was measured to be, by kind and working set in bytes."""
    stored = json.loads((cache / "roofs.json").read_text())
    return dict(sorted(next(iter(stored.values())).items()))


def _markdown(
    same: Sequence[Repeatability], different: Sequence[Difference], roofs: dict[str, float]
) -> str:
    lines = [
        f"Identical kernels through the final timing: fresh slots, changed roles, at least"
        f" {BLOCKS} blocks, more until the 95 % interval is narrow or {SECONDS} s are over. Error"
        " is |ratio - 1| over n trials (with fewer than 20 the 95th percentile is the largest);"
        " *covered*: the interval contains 1; *half width* and *blocks* are medians.",
        "",
        "| A/A | threads | n | median error | 95th percentile | covered | half width | blocks"
        " | s per trial |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.case} | {r.threads} | {r.n} | {r.median:.2%} | {r.p95:.2%} | {r.covered} |"
        f" {r.width:.2%} | {r.blocks:g} | {r.seconds:.1f} |"
        for r in same
    ]
    lines += [
        "",
        "A kernel that does one twentieth of its rows twice against itself. *Right*: its ratio is"
        " below 1; *sure*: its whole interval is; *wrong*: its interval is above 1.",
        "",
        "| 5 % more work | threads | n | right | sure | wrong | median ratio | s per trial |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {d.case} | {d.threads} | {d.n} | {d.right} | {d.sure} | {d.wrong} | {d.median:.3f} |"
        f" {d.seconds:.1f} |"
        for d in different
    ]
    lines += ["", "| roof | measured |", "|---|--:|"]
    for name, value in roofs.items():
        kind, _, size = name.partition("-")
        if kind == "peak":
            lines.append(f"| float32 arithmetic, one thread | {value / 1e9:.0f} GFLOP/s |")
        else:
            where = f"{kind}, working set of {int(size) >> 20} MiB"
            lines.append(f"| {where} | {value / 1e9:.0f} GB/s |")
    return "\n".join(lines)
