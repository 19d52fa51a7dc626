# SPDX-License-Identifier: Apache-2.0
"""Plant small mistakes in a right kernel, and see whether the verifier finds them.

Lists the mutants, or with --score judges them. Exit code 1 if one survives unexplained.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelcoder import errors
from kernelcoder.commands import verify as verify_command
from kernelcoder.errors import CannotRun, Error

if TYPE_CHECKING:
    from kernelcoder.mutation import Mutant
    from kernelcoder.mutation.scoring import Outcome, Score
    from kernelcoder.task import Task
    from kernelcoder.verify.service import KernelVerifier

PAGE = "docs/results/mutation.md"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("task", nargs="?", default="", help="core/softmax; default: all of core")
    parser.add_argument("--file", type=Path, help="a right kernel of yours instead of the task's")
    parser.add_argument("--backend", default="cpu", help="default: cpu")
    parser.add_argument("--limit", type=int, default=24, metavar="N", help="mutants; 0: all")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="which mutants, which hidden cases"
    )
    parser.add_argument("--score", action="store_true", help="judge them")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="judged at a time")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per task")
    parser.add_argument(
        "--write",
        nargs="?",
        const=Path(PAGE),
        type=Path,
        metavar="FILE",
        help=f"with --score: also as Markdown; default: {PAGE}",
    )


def run(args: argparse.Namespace) -> int:
    """List or score; see the module's docstring for the exit code."""
    if args.file and not args.task:
        raise Error("--file needs the task it is a kernel of", fix="mutate core/relu --file my.cpp")
    if args.write and not args.score:
        raise Error("--write needs --score: the page is about scores")
    if args.write == Path(PAGE) and args.task:
        raise Error(f"{PAGE} is about all operators", fix="leave out the task, or --write FILE")
    if args.limit < 0 or args.workers < 1:
        raise Error("--limit is 0 or more, --workers 1 or more")
    return _score(args) if args.score else _list(args)


def _names(name: str) -> list[str]:
    from benchmarks import core

    return [name] if name else [f"core/{one}" for one in core.names()]


def _source(args: argparse.Namespace, task: Task) -> str:
    source = args.file.read_text(encoding="utf-8") if _readable(args.file) else ""
    source = source or task.solutions.get(args.backend, "")
    if not source:
        raise Error(f"{task.id} has no known kernel for {args.backend}", fix="give one with --file")
    return source


def _readable(path: Path | None) -> bool:
    if path is not None and not path.is_file():
        raise Error(f"cannot read {path}: no such file")
    return path is not None


def _list(args: argparse.Namespace) -> int:
    import importlib

    from kernelcoder import mutation

    language = importlib.import_module(f"kernelcoder.backends.{args.backend}").LANGUAGE
    for name in _names(args.task):
        task = verify_command.find_task(name)
        source = _source(args, task)
        known = mutation.mutants(source, language, args.seed)
        chosen = known[: args.limit] if args.limit else known
        if args.json:
            print(json.dumps(_listed(task.id, len(known), chosen)))
            continue
        print(f"{task.id}: {len(chosen)} of {len(known)} mutants, seed {args.seed}")
        for mutant in chosen:
            print(f"\n  {mutant.id}  line {mutant.line}: {mutant.rule}")
            print("\n".join(f"    {line}" for line in mutant.diff.splitlines()))
    return errors.DONE


def _listed(task: str, known: int, chosen: Sequence[Mutant]) -> dict[str, Any]:
    return {"task": task, "known": known, "mutants": [dataclasses.asdict(one) for one in chosen]}


def _verifier(args: argparse.Namespace) -> KernelVerifier:
    import importlib

    from kernelcoder import paths
    from kernelcoder.verify import VerifyOptions
    from kernelcoder.verify.service import KernelVerifier

    backend = importlib.import_module(f"kernelcoder.backends.{args.backend}")
    available = backend.probe()
    if available.mode is None:
        raise CannotRun(available.reason, where=f"backend {args.backend}")
    # Short limits: an endless loop is a common mutant. One thread, as kernels are judged.
    options = VerifyOptions(True, 5, 60, 2048, 1, "eager", False, 4)
    made = backend.open_verifier(options, paths.cache(), args.workers)
    if not isinstance(made, KernelVerifier):
        raise Error(f"kernels of {args.backend} cannot be compared with their mutants")
    return made


def _score(args: argparse.Namespace) -> int:
    from kernelcoder import paths
    from kernelcoder.mutation import scoring
    from kernelcoder.mutation.table import page
    from kernelcoder.records import to_json

    verifier = _verifier(args)
    scores: list[Score] = []
    try:
        for name in _names(args.task):
            task = verify_command.find_task(name)
            source = _source(args, task)
            found = scoring.score(
                task, verifier, args.limit, args.seed, args.backend, source, args.workers
            )
            scores.append(found)
            if args.json:
                print(json.dumps(to_json(found) | {"value": found.value}), flush=True)
            else:
                print("\n".join(_text(found)), flush=True)
    finally:
        verifier.close()
    if args.write:
        flags = f"--seed {args.seed} --limit {args.limit}"
        target = paths.ROOT / PAGE if args.write == Path(PAGE) else args.write
        target.write_text(page(scores, flags, verifier.versions), encoding="utf-8")
    return errors.BROKEN if any(one.bad for one in scores) else errors.DONE


def _text(score: Score) -> list[str]:
    value = "no mutant counts" if score.value is None else f"{100 * score.value:.1f} %"
    lines = [
        f"{score.task}: {value}: {score.count('killed')} of {score.told} killed"
        f" ({len(score.outcomes)} tried of {score.known} mutants,"
        f" {score.count('equivalent')} equivalent, {score.count('not built')} not built)"
    ]
    for kind, fates in score.by_class().items():
        counts = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()))
        statuses = sorted(
            {o.status for o in score.outcomes if o.mutant.kind == kind and o.fate == "killed"}
        )
        lines.append(f"  {kind:<14} {counts}{': ' if statuses else ''}{', '.join(statuses)}")
    for outcome in (*score.survivors, *(o for o in score.bad if o.fate == "unjudged")):
        lines += _survivor(outcome)
    return lines


def _survivor(outcome: Outcome) -> list[str]:
    why = outcome.reason or "no explanation: a weak test, or a tolerance; please look at it"
    detail = outcome.detail or outcome.cause
    lines = [f"  {outcome.fate}: {outcome.mutant.id} ({outcome.mutant.rule}); {detail}"]
    lines += [f"    {line}" for line in outcome.mutant.diff.splitlines()]
    return [*lines, f"    {why}"]
