# SPDX-License-Identifier: Apache-2.0
"""List the skills of a cell with their evidence; check, export and import them.

``--check`` runs every skill's own tests by the verifier and exits with 1 if one fails.
``--routing`` reports how well requests in words find their skill on a labelled set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelcoder import errors

if TYPE_CHECKING:
    from kernelcoder.memory.skill.gate import Gate
    from kernelcoder.memory.skill.library import Library
    from kernelcoder.memory.skill.schema import Skill


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("cell", nargs="?", default="*", help="cell id or glob (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", action="store_true", help="run every skill's own tests")
    parser.add_argument("--export", metavar="FILE", help="write a cell's skills to a file")
    parser.add_argument(
        "--import", metavar="FILE", dest="take", help="check a file and keep it on this machine"
    )
    parser.add_argument("--routing", action="store_true", help="report on the labelled requests")


def run(args: argparse.Namespace) -> int:
    """One action; see the module's docstring."""
    from kernelcoder.memory.skill import store

    if args.routing:
        return _routing(args.json)
    if args.take:
        name = store.imported(Path(args.take))
        print(f'MEMORY_SKILLS_LIBRARY="{name}" begins with these skills')
        return errors.DONE
    cells = _cells(args.cell)
    if args.export:
        if len(cells) != 1:
            raise errors.Error(
                f"{len(cells)} cells match {args.cell}", fix="name one cell to export"
            )
        digest = store.write(Path(args.export), next(iter(cells.values())))
        print(f"{args.export}: {digest[: store.NAMED]}")
        return errors.DONE
    if args.check:
        return _check(cells)
    if args.json:
        rows = {cell: _summary(library) for cell, library in cells.items()}
        print(json.dumps(rows, allow_nan=False))
        return errors.DONE
    if not cells:
        print("no cell has learnt skills yet: MEMORY_SKILLS=y and make bench make some")
    for cell, library in cells.items():
        print("\n".join(_lines(cell, library)))
    return errors.DONE


def _cells(glob: str) -> dict[str, Library]:
    """Cell id -> the library of its last snapshot, for cells with the memory skills."""
    import fnmatch

    from kernelcoder import ledger, paths
    from kernelcoder.memory.skill import store

    found: dict[str, Library] = {}
    for path in sorted(paths.results().glob(f"*/{ledger.NAME}")):
        cell = path.parent.name
        parts = cell.split("_")
        if len(parts) < 2 or parts[1] != "skills" or not fnmatch.fnmatch(cell, glob):
            continue
        learnt = [one.data for one in ledger.read(path) if one.kind == "learn"]
        snapshots = [one["snapshot"] for one in learnt if one.get("of", "memory") == "memory"]
        if snapshots:
            text = ledger.read_blob(path.parent, snapshots[-1])
            found[cell] = store.of_snapshot(json.loads(text))
    if not found and glob != "*":
        raise errors.Error(f"no cell with skills matches {glob}", fix="make status lists the cells")
    return found


def _lines(cell: str, library: Library) -> list[str]:
    """A table of the skills, then what the memory counted."""
    from kernelcoder.memory.skill import evidence
    from kernelcoder.report.table import grid

    head = ["skill", "status", "right", "lower", "tasks", "slots", "intent"]
    body = []
    for skill in library.skills:
        figures = evidence.standing(skill, _verifier(skill))
        body.append(
            [
                f"  {skill.name}",
                skill.status,
                f"{figures.right}/{figures.n}",
                f"{figures.lower:.2f}",
                str(figures.tasks),
                ",".join([*skill.parameters["properties"], *skill.bind]) or "-",
                skill.intent[:60],
            ]
        )
    lines = [cell, *(grid(head, body) if body else ["  no skills"])]
    lines.append(f"  calibration: {_calibration(library)['said']}")
    if library.fills:
        asked, invalid = library.fills["asked"], library.fills["invalid"]
        lines.append(f"  parameter blocks by the model: {asked} asked, {invalid} invalid")
    return lines


def _verifier(skill: Skill) -> str:
    trials = [one for one in skill.evidence if one.kind != "claimed"]
    return trials[-1].verifier if trials else ""


def _calibration(library: Library) -> dict[str, Any]:
    """How well the scores of choices told what came of them, or why that cannot be said."""
    from kernelcoder.memory.skill import calibration

    try:
        found = calibration.fit(library.outcomes)
    except calibration.TooFew as few:
        return {"said": f"none: {few}"}
    said = (
        f"Brier {found.brier:.3f} (a constant: {found.constant:.3f}), ECE {found.ece:.3f}"
        f" on {found.held_out} held-out outcomes, fitted on {found.fitted}"
    )
    return {"said": said, "brier": found.brier, "ece": found.ece, "constant": found.constant}


def _summary(library: Library) -> dict[str, Any]:
    from kernelcoder.memory.skill import evidence
    from kernelcoder.records import to_json

    rows = []
    for skill in library.skills:
        figures = evidence.standing(skill, _verifier(skill))
        counts = {"right": figures.right, "n": figures.n, "tasks": figures.tasks}
        rows.append({**to_json(skill), "standing": {**counts, "lower": figures.lower}})
    return {
        "skills": rows,
        "calibration": _calibration(library),
        "fills": dict(library.fills),
        "declined": [list(one) for one in library.declined],
    }


def _check(cells: dict[str, Library]) -> int:
    """The regression gate over everything in service; 1 if a test failed or could not be run."""
    failed = 0
    for cell, library in cells.items():
        print(cell)
        for skill, gate in _gates(library.served()):
            word = "passed" if gate.open else "FAILED"
            print(f"  {skill.name}: {word}, {gate.passed} of {len(skill.tests)} tests")
            for line in gate.failed:
                print(f"    {line}")
            failed += not gate.open
    return errors.BROKEN if failed else errors.DONE


def _gates(skills: list[Skill]) -> list[tuple[Skill, Gate]]:
    """Every kernel skill with what came of its tests. Edits have none of their own: their tests
    would need the kernels they were made in."""
    from kernelcoder.commands.verify import find_task
    from kernelcoder.memory.skill import gate
    from kernelcoder.records import Candidate, Verdict
    from kernelcoder.task import Task

    found = []
    for backend in dict.fromkeys(skill.backend for skill in skills):
        verifier, language = _verifier_of(backend)

        def judge(task: Task, source: str, backend: str = backend) -> Verdict:
            import os

            candidate = Candidate(source, language, backend)  # noqa: B023
            verdict: Verdict = verifier.verify(task, candidate, os.urandom(16).hex(), timing=False)  # noqa: B023
            return verdict

        try:
            for skill in skills:
                if skill.backend == backend and skill.kind == "kernel":
                    unhurried = gate.without_speed(skill)
                    found.append((skill, gate.run(unhurried, skill, find_task, judge, "")))
        finally:
            verifier.close()
    return found


def _verifier_of(backend: str) -> tuple[Any, str]:
    """An open verifier that does not time, and the backend's language."""
    from dataclasses import replace

    from kernelcoder import config, paths, registry
    from kernelcoder.commands.verify import find_backend
    from kernelcoder.verify import VerifyOptions

    draft = config.Draft()
    values = draft.finish("defaults").values
    module = find_backend(backend)
    available = module.probe()
    if available.mode is None:
        raise errors.CannotRun(available.reason, where=f"backend {backend}")
    options = replace(config.fill(VerifyOptions, values, "VERIFY"), timing=False)
    switched = hasattr(module, "Options") and values.get(f"BACKEND_{backend.upper()}") is True
    own = (registry.options("BACKEND", backend, values),) if switched else ()
    return module.open_verifier(options, paths.cache(), 1, *own), module.LANGUAGE


def _routing(as_json: bool) -> int:
    """Shares on the held-out half of the labelled requests, beside the baselines."""
    from dataclasses import asdict

    from kernelcoder.memory.skill import labelled

    found = [asdict(one) for one in labelled.report()]
    if as_json:
        print(json.dumps(found))
        return errors.DONE
    from kernelcoder.report.table import grid

    head = ["router", "on-topic right", "off-topic rejected", "splits"]
    body = [
        [
            str(one["router"]),
            f"{100 * one['right']:.1f} % of {one['on_topic']}"
            f" [{100 * one['worst_right']:.0f} worst]",
            f"{100 * one['rejected']:.1f} % of {one['off_topic']}"
            f" [{100 * one['worst_rejected']:.0f} worst]",
            str(one["splits"]),
        ]
        for one in found
    ]
    print("\n".join(grid(head, body)))
    print("Means over random stratified halves: thresholds fitted on one, figures from the other.")
    return errors.DONE
