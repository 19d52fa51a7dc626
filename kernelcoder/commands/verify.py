# SPDX-License-Identifier: Apache-2.0
"""Judge one kernel file: compile, check on visible and hidden cases, time.

Exit code 0 if verified, 1 for any other verdict, 2 for usage, 3 if it cannot run here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelcoder import errors, wording
from kernelcoder.errors import CannotRun, Error
from kernelcoder.records import CaseResult, Timing, Verdict, to_json

if TYPE_CHECKING:
    from types import ModuleType

    from kernelcoder.config import Settings
    from kernelcoder.task import Task
    from kernelcoder.verify import VerifyOptions


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("task", help="suite/name, e.g. core/softmax")
    parser.add_argument("file", help="the candidate's source, or - for standard input")
    parser.add_argument(
        "--backend", default="", help="default: torch for a .py file, cpu for any other"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-timing", action="store_true", help="check only")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="quick search timing, without re-timing in fresh processes",
    )
    parser.add_argument(
        "--key", default="", metavar="HEX", help="key of the hidden cases; default: a fresh secret"
    )


def run(args: argparse.Namespace) -> int:
    """Judge and print; see the module's docstring for the exit codes."""
    task = find_task(args.task)
    name = args.backend or ("torch" if args.file.endswith(".py") else "cpu")
    backend = find_backend(name)
    source = _source(args.file)
    key = _key(args.key)
    available = backend.probe()
    if available.mode is None:
        raise CannotRun(available.reason, where=f"backend {name}")
    options = _options(not args.no_timing)
    verdict = _judge(task, backend, name, source, options, key, final=not args.quick)
    if args.json:
        print(json.dumps(as_json(task.id, name, verdict), allow_nan=False))
    else:
        print("\n".join(_text(task.id, verdict)))
    return errors.DONE if verdict.verified else errors.BROKEN


def find_task(name: str) -> Task:
    """``suite/name`` as a task; an unknown one is an Error with the nearest names."""
    import difflib
    import importlib

    from kernelcoder.paths import ROOT

    suite, _, short = name.rpartition("/")
    suites = sorted(p.parent.name for p in (ROOT / "benchmarks").glob("*/__init__.py"))
    suite = suite or "core"
    if suite not in suites:
        near = difflib.get_close_matches(suite, suites, n=1)
        fix = f"did you mean {near[0]}/{short}?" if near else f"suites: {', '.join(suites)}"
        raise Error(f"there is no suite {suite!r}", fix=fix)
    task: Task = importlib.import_module(f"benchmarks.{suite}").load(short)
    return task


def find_backend(name: str) -> ModuleType:
    """The backend of a name; an unknown one is an Error with those there are."""
    import importlib

    from kernelcoder.paths import ROOT

    known = sorted(
        path.stem
        for path in (ROOT / "kernelcoder" / "backends").glob("*.py")
        if not path.name.startswith("_")
    )
    if name not in known:
        raise Error(f"there is no backend {name!r}", fix=f"backends: {', '.join(known)}")
    return importlib.import_module(f"kernelcoder.backends.{name}")


def _source(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read()
        return Path(name).read_text(encoding="utf-8")
    except OSError as problem:
        raise Error(f"cannot read {name}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise Error(f"{name} is not UTF-8 text") from problem


def _key(text: str) -> str:
    if text and not all(digit in "0123456789abcdefABCDEF" for digit in text):
        raise Error(f"--key takes hexadecimal digits, not {text!r}")
    return text.lower() or os.urandom(16).hex()


def _settings() -> Settings:
    """The current configuration, or the defaults."""
    from kernelcoder import config, paths

    if paths.config_file().exists():
        return config.load()
    draft = config.Draft()
    config.apply_overrides(draft)
    return draft.finish("defaults")


def _options(timing: bool) -> VerifyOptions:
    """``VERIFY_*`` of the current configuration."""
    from kernelcoder import config
    from kernelcoder.verify import VerifyOptions

    options = config.fill(VerifyOptions, _settings().values, "VERIFY")
    return options if timing else replace(options, timing=False)


def _judge(
    task: Task,
    backend: ModuleType,
    name: str,
    source: str,
    options: VerifyOptions,
    key: str,
    final: bool,
) -> Verdict:
    """The verdict; with ``final`` its timing is a re-timing in fresh processes."""
    from kernelcoder import paths, registry
    from kernelcoder.history import random_key
    from kernelcoder.records import Candidate

    values = _settings().values  # where the backend is not selected, its options have no values
    own: tuple[Any, ...] = ()
    if hasattr(backend, "Options") and values.get(f"BACKEND_{name.upper()}") is True:
        own = (registry.options("BACKEND", name, values),)
    verifier = backend.open_verifier(options, paths.cache(), 1, *own)
    try:
        candidate = Candidate(source, backend.LANGUAGE, name)
        verdict: Verdict = verifier.verify(task, candidate, key, options.timing)
        if not final or verdict.timing is None:
            return verdict
        fresh = random_key(key, "retime")
        (finalist,) = verifier.retime(task, [candidate], fresh)
        if finalist.report is not None:
            return replace(verdict, timing=finalist.report)
        again: Verdict = verifier.verify(task, candidate, fresh, timing=False)
        if not again.verified:
            return again
        note = f"no timing: {finalist.reason}"
        evidence = (*verdict.evidence, note)
        return replace(verdict, stage="verified", timing=None, evidence=evidence)
    finally:
        verifier.close()


_CASE_FIELDS = ("name", "shape", "dtype", "layout", "ok", "max_abs", "max_rel", "max_ulp", "cause")


def as_json(task: str, backend: str, verdict: Verdict) -> dict[str, Any]:
    """The documented JSON object of a verdict."""
    return {
        "task": task,
        "backend": backend,
        "mode": verdict.mode,
        "status": verdict.status,
        "stage": verdict.stage,
        "reason": verdict.reason,
        "evidence": list(verdict.evidence),
        "labels": list(verdict.labels),
        "checked": dict(verdict.checked),
        "cases": [
            {name: to_json(getattr(c, name)) for name in _CASE_FIELDS} for c in verdict.cases
        ],
        "timing": _timing_json(verdict.timing),
        "seconds": dict(verdict.seconds),
        "versions": dict(verdict.versions),
    }


def _timing_json(timing: Timing | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    return {
        "speedup": to_json(timing.speedup),
        "roofline_fraction": timing.roofline_fraction,
        "seconds": timing.seconds,
        "kind": timing.kind,
        "cases": to_json(timing.cases),
        "notes": list(timing.notes),
    }


def _text(task: str, verdict: Verdict) -> list[str]:
    said = [f"  {line}" for line in verdict.evidence]
    if verdict.labels:
        said.append(f"  noticed: {', '.join(verdict.labels)}")
    if verdict.checked:
        said.append(f"  checked: {wording.checks(verdict.checked)}")
    log = [] if verdict.verified else verdict.log.splitlines()[:30]
    spent = ", ".join(f"{name} {value:.3f} s" for name, value in verdict.seconds.items())
    end = [f"  {spent or 'nothing was run'}"]
    if level := verdict.versions.get("isolation"):
        end.append(f"  isolation: {level}")
    parts = (
        [f"{task}: {verdict.status} ({verdict.stage}) - {verdict.reason}"],
        _case_table(verdict.cases),
        said,
        [f"  | {line}" for line in log],
        _timing_text(verdict.timing) if verdict.timing else [],
        end,
    )
    return [line for part in parts if part for line in (*part, "")][:-1]


def _case_table(cases: tuple[CaseResult, ...]) -> list[str]:
    """A line for each visible case and each wrong one, and one for all hidden ones that are right:
    there are many, and --json has them."""
    shown = [case for case in cases if not (case.hidden and case.ok)]
    width = max((len(case.name) for case in shown), default=0)
    lines = []
    for case in shown:
        shape = "x".join(map(str, case.shape)) or "scalar"
        error = f"{case.max_ulp:9.2f} ulp" if case.max_ulp is not None else " " * 13
        mark = "ok   " if case.ok else "WRONG"
        line = f"  {mark} {case.name:<{width}}  {shape:>14} {case.dtype:>4} {error}  {case.cause}"
        lines.append(line.rstrip())
    if right := [case for case in cases if case.hidden and case.ok]:
        worst = max(right, key=lambda case: case.max_ulp or 0.0)
        most = f", up to {worst.max_ulp:.2f} ulp in {worst.name}" if worst.max_ulp else ""
        lines.append(f"  ok    {wording.tally(len(right), 'hidden case')}{most}")
    return lines


def _timing_text(timing: Timing) -> list[str]:
    kind = "re-timed in fresh processes" if timing.kind == "final" else "quick search timing"
    lines = [f"  timing ({kind}):"]
    for name, ratio in timing.speedup.items():
        lines.append(
            f"    {ratio.median:6.2f}x {name:<10}"
            f" 95 % interval {ratio.lo:.2f} to {ratio.hi:.2f}, n = {ratio.n}"
        )
    for case in timing.cases:
        roof = (
            f", {100 * case.roofline_fraction:.0f} % of the roofline"
            if case.roofline_fraction
            else ""
        )
        held = ", not in the ratios above" if case.heldout else ""
        over = "".join(
            f", {ratio.median:.2f}x {name}" for name, ratio in case.speedup.items() if held
        )
        lines.append(f"    {case.case}: {case.seconds * 1e6:.1f} us per call{over}{roof}{held}")
    return [*lines, *(f"    {note}" for note in timing.notes)]
