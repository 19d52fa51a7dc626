# SPDX-License-Identifier: Apache-2.0
"""Have the verifier judge every hostile and honest candidate of the red team; list what escapes.

Exit code 1 if a hostile candidate escapes or an honest one is refused. Candidates that take long
(time-outs, compile bombs) are left out without --slow.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import errors

if TYPE_CHECKING:
    from kernelcoder.redteam.court import Court, Trial
    from kernelcoder.redteam.entry import Hostile
    from kernelcoder.redteam.page import Count

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``redteam``."""
    parser.add_argument("--class", dest="family", default="", help="one class, such as timing")
    parser.add_argument("--backend", default="", help="one backend, such as cuda")
    parser.add_argument("--name", default="", help="candidates whose name holds this text")
    parser.add_argument("--slow", action="store_true", help="time-outs and compile bombs too")
    parser.add_argument(
        "--write", action="store_true", help="write docs/results/redteam.md and docs/redteam.md"
    )
    parser.add_argument(
        "--pages", action="store_true", help="only renew the tables of docs/redteam.md"
    )


def run(args: argparse.Namespace) -> int:
    """Judge, print, and keep if asked to."""
    from kernelcoder.redteam import corpus, page

    for value, known, what in (
        (args.family, corpus.CLASSES, "class"),
        (args.backend, corpus.BACKENDS, "backend"),
    ):
        if value and value not in known:
            raise errors.Error(f"there is no {what} {value!r}", fix=f"known: {', '.join(known)}")
    if args.pages:
        _renew()
        return errors.DONE
    start = time.monotonic()
    counts: list[Count] = []
    bad: list[str] = []
    for backend in [args.backend] if args.backend else corpus.BACKENDS:
        found, wrong = _backend(args, backend)
        counts += found
        bad += wrong
    lines = page.table(counts)
    print("\n".join(["", *lines, *bad]))
    if args.write:
        _renew()
        _keep(args, lines, bad, time.monotonic() - start)
    return 1 if bad else errors.DONE


def _backend(args: argparse.Namespace, backend: str) -> tuple[list[Count], list[str]]:
    """All chosen candidates of a backend."""
    from kernelcoder.redteam import corpus, page
    from kernelcoder.redteam.court import Court

    member = importlib.import_module(f"kernelcoder.backends.{backend}")
    if (found := member.probe()).mode is None:
        print(f"{backend} is left out: {found.reason}")
        return [], []
    counts, bad = [], []
    with tempfile.TemporaryDirectory(prefix="kernelcoder-") as cache, Court(Path(cache)) as court:
        for family in [args.family] if args.family else corpus.CLASSES:
            chosen = [
                entry
                for entry in corpus.HOSTILE[backend][family]
                if args.name in entry.name and (args.slow or not entry.slow)
            ]
            tried = [_hostile(court, entry) for entry in chosen]
            counts.append(page.count(family, backend, chosen, tried))
            bad += [f"escaped: {t.name} ({backend}): {t.why}" for t in tried if not t.right]
        if not args.family:
            fair = [e for e in corpus.HONEST[backend] if args.name in e.name]
            tried = [_show(court.honest(entry)) for entry in fair]
            counts.append(page.honest(backend, tried))
            bad += [f"false alarm: {t.name} ({backend}): {t.why}" for t in tried if not t.right]
    return counts, bad


def _hostile(court: Court, entry: Hostile) -> Trial:
    import dataclasses

    trial = court.hostile(entry)
    if trial.right and (after := court.undisturbed(entry)):
        trial = dataclasses.replace(trial, right=False, why=f"spoils the next candidate: {after}")
    return _show(trial)


def _show(trial: Trial) -> Trial:
    mark = "  " if trial.right else "! "
    print(f"{mark}{trial.name:32} {trial.verdict.status:14} {trial.seconds:6.2f} s", flush=True)
    return trial


def _renew() -> None:
    """Bring the tables of docs/redteam.md up to date."""
    from kernelcoder.redteam import page

    path = _DOCS / "redteam.md"
    path.write_text(page.renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


def _keep(args: argparse.Namespace, lines: list[str], bad: list[str], seconds: float) -> None:
    """Write docs/results/redteam.md."""
    import os
    import platform

    import torch

    from kernelcoder.verify import isolation
    from kernelcoder.verify.service import VERIFY_VERSION
    from kernelcoder.verify.toolchain import toolchain

    flags = " --slow" if args.slow else ""
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, isolation"
        f" {isolation.probe().level}, {toolchain().version}, torch {torch.__version__}, verifier"
        f" {VERIFY_VERSION}. {seconds:.0f} seconds."
    )
    parts = [
        "# The red team: what was caught",
        f"Made by `python -m kernelcoder redteam{flags} --write`. {machine}",
        "\n".join(lines),
        "*entries* counts those of the class's own letter in the catalogue that some candidate acts"
        " out. After every attack an honest kernel was verified by the same slot. The candidates"
        " are in [redteam.md](../redteam.md).",
        "\n".join(f"- {line}" for line in bad) if bad else "Nothing escaped, no false alarms.",
    ]
    parts.append(
        "What becomes of small mistakes planted in right kernels: [mutation.md](mutation.md)."
    )
    (_DOCS / "results" / "redteam.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
