# SPDX-License-Identifier: Apache-2.0
"""Write a job script for SLURM from .config and check it; nothing is submitted.

Every array task runs its share of the cells (a few cells each; one cell is never split). The time
limit is twice what `estimate` says for a share. Where sbatch is installed it is asked with
--test-only; without it, its rules for directives are checked here, and bash reads the script.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import config, config_files, errors, matrix, paths
from kernelcoder.matrix import Cell

if TYPE_CHECKING:
    from kernelcoder.slurm import Job

_ON_GPUS = ("cuda", "triton")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("file", nargs="?", default="job.sbatch", help="script (job.sbatch)")
    parser.add_argument("--config", metavar="NAME", help="defconfig or file (default: .config)")
    parser.add_argument("--name", default="kernelcoder", help="of the job")
    parser.add_argument("--jobs", type=int, default=0, help="array tasks (default: one a cell)")
    parser.add_argument("--time", type=int, default=0, metavar="MINUTES", help="limit of a task")
    parser.add_argument("--cpus", type=int, default=8, help="processors of a task (8)")
    parser.add_argument("--memory", type=int, default=16, metavar="GIB", help="of a task (16)")
    parser.add_argument("--gpus", type=int, default=None, help="of a task (default: by backend)")
    parser.add_argument("--machine", default="slurm", help="name the results lie under (slurm)")
    parser.add_argument(
        "--sbatch", action="append", default=[], metavar="OPTION", help="for example partition=gpu"
    )


def run(args: argparse.Namespace) -> int:
    """Write and check the script."""
    from kernelcoder import slurm

    settings = config_files.resolve(args.config) if args.config else config.load(None)
    found = matrix.cells(settings)
    script = slurm.script(_job(args, found), _text(args.config))
    path = Path(args.file)
    path.write_text(script, encoding="utf-8")
    print(f"{path}: {len(found)} cells in {_shards(args, found)} array tasks")
    for line in slurm.dry(str(path)):
        print(f"  {line}")
    print(f"submit it in the checkout: sbatch {path}")
    return errors.DONE


def _shards(args: argparse.Namespace, found: list[Cell]) -> int:
    if args.jobs < 0 or args.jobs > len(found):
        fix = f"1 to {len(found)}: a cell is never split"
        raise errors.Error(f"--jobs {args.jobs} for {len(found)} cells", fix=fix)
    return int(args.jobs) or len(found)


def _job(args: argparse.Namespace, found: list[Cell]) -> Job:
    from kernelcoder import estimating, slurm

    shards = _shards(args, found)
    earlier = estimating.history(found, paths.results())
    each = [estimating.estimate(cell, earlier).seconds.value for cell in found]
    seconds = None if None in each else sum(one for one in each if one is not None)
    per_shard = -(-len(found) // shards)
    caps = {int(cell.values["BUDGET_MINUTES"]) for cell in found}
    cap = 0 if 0 in caps else max(caps) * per_shard
    gpus = args.gpus
    if gpus is None:
        gpus = int(any(cell.backend in _ON_GPUS for cell in found))
    if min(args.cpus, args.memory) < 1 or min(gpus, args.time) < 0:
        raise errors.Error("a task needs at least one processor and one GiB")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", args.machine):
        raise errors.Error(f"--machine {args.machine!r} is no name of a folder of results")
    return slurm.Job(
        name=args.name,
        shards=shards,
        minutes=args.time or slurm.minutes_of(seconds, shards, cap),
        cpus=args.cpus,
        memory_gib=args.memory,
        gpus=gpus,
        exclusive=any(bool(cell.values["VERIFY_TIMING"]) for cell in found),
        machine=args.machine,
        extra=slurm.check_extra(args.sbatch),
    )


def _text(name: str | None) -> str:
    """The configuration, minimal."""
    if name is None:
        return config_files.minimal(config_files.current())
    path = Path(name)
    if "/" in name or path.suffix == ".config":
        return config.read(path)
    return config_files.minimal(config_files.merged(name.split("+")))
