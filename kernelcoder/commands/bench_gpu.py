# SPDX-License-Identifier: Apache-2.0
"""On a machine with an NVIDIA GPU: verify and time our own CUDA kernels there, and A/A."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelcoder.backends.gpu.bench import Row
    from kernelcoder.records import Ratio

TASKS = ("relu", "softmax", "layernorm", "rope", "matmul")
BLOCKS, SECONDS = 6, 30


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``bench-gpu``."""
    parser.add_argument(
        "--trials", type=int, default=3, metavar="N", help="final timings per task; default: 3"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), metavar="OP", help="operators of the core suite"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write the table as Markdown"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, and keep if asked to; exit code 3 where there is no GPU to use."""
    from benchmarks.core import load
    from kernelcoder.backends import cuda
    from kernelcoder.backends.gpu import bench
    from kernelcoder.records import to_json
    from kernelcoder.verify import VerifyOptions
    from kernelcoder.verify.oracle import quiet_torch

    device = bench.available()
    quiet_torch()
    options = VerifyOptions(True, 10, 90, 2048, 1, "eager", False, BLOCKS, SECONDS)
    with tempfile.TemporaryDirectory(prefix="kernelcoder-") as folder:
        tasks = [load(name) for name in args.tasks]
        verifier = cuda.open_verifier(options, Path(folder), 1)
        try:
            found = list(bench.rows(tasks, verifier, args.trials))
        finally:
            verifier.close()
    if args.json:
        print(json.dumps({"device": device, "rows": to_json(found)}))
        return 0
    text = markdown(found)
    print(f"{device}\n\n{text}")
    if args.write:
        flags = f"--trials {args.trials} --tasks {' '.join(args.tasks)} --write {args.write}"
        made = f"Made by `python -m kernelcoder bench-gpu {flags}` on {device}."
        args.write.write_text(f"# CUDA on a GPU\n\n{made}\n\n{text}\n")
    return 0


def markdown(found: Sequence[Row]) -> str:
    """One line per case and trial, then the notes."""
    lines = [
        "The task's own CUDA kernel through final timing. *Eager*: PyTorch's time over the"
        " kernel's; *itself*: the same kernel in another process over it, which should be 1; both"
        f" as median [95 % interval], n blocks (at least {BLOCKS}). *Judged*: wall seconds of"
        " compiling and checking it.",
        "",
        "| kernel | case | verdict | judged s | us per call | eager | itself | roofline |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r.task} | {r.case} | {r.status} | {r.seconds:.1f} | {_number(r.us, '.1f')} |"
        f" {_ratio(r.eager)} | {_ratio(r.itself)} | {_number(r.roofline, '.0%')} |"
        for r in found
    ]
    notes = dict.fromkeys(f"- {r.task}: {r.note}" for r in found if r.note)
    return "\n".join([*lines, "", *notes]) if notes else "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio.median:.3f} [{ratio.lo:.3f}, {ratio.hi:.3f}], {ratio.n}"
