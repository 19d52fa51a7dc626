# SPDX-License-Identifier: Apache-2.0
"""Takes a finished cell over from another results folder, if it is the very experiment it claims
to be: a baseline that was run once need not be run again.

The cell must have the same settings (caps and stopping rules too), verifier, prompts, tasks and
task files, a whole ledger that passes the audit, and, where it was timed, a machine of the same
kind: processor, cores, devices, compilers and PyTorch. Otherwise everything that differs is listed
and nothing is copied.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import auditing, cells, ledger, manifest, matrix, paths, registry
from kernelcoder.cells import Maker
from kernelcoder.errors import Error, Problem
from kernelcoder.ledger import Event, write_atomic
from kernelcoder.matrix import Cell
from kernelcoder.records import TIMED_MODES


def find(folder: Path, cell_id: str) -> Path:
    """The one folder of a cell in a results tree, in one machine's folder, or itself."""
    found = [folder] if folder.name == cell_id else []
    for place in (cell_id, f"*/{cell_id}", f"results/*/{cell_id}"):
        found += sorted(folder.glob(place))
    known = [path for path in dict.fromkeys(found) if (path / "cell.json").is_file()]
    if len(known) == 1:
        return known[0]
    if known:
        several = [Problem("", str(path)) for path in known]
        raise Error(f"{cell_id} is there more than once", str(folder), "name one", several)
    raise Error(f"there is no cell {cell_id}", str(folder), "give a results folder, or the cell's")


def differences(cell: Cell, maker: Maker, theirs: Path) -> list[Problem]:
    """Everything in which a recorded cell is not what would be run here; empty if it may stand for
    it."""
    meta = cells.read_meta(theirs) or {}
    found = [*_settings(meta, cell), *cells.differing(meta, cell, maker)]
    if meta.get("cell") != cell.id:
        found.append(Problem("cell.json", f"it is of {meta.get('cell')!r}"))
    if meta.get("prompts") != maker.prompts:
        found.append(Problem("prompts", "the templates or examples are others than now"))
    checked = auditing.audit(theirs)
    found += [Problem("ledger", text) for text in checked.problems]
    if checked.problems:
        return found
    events = ledger.read(theirs / ledger.NAME)
    if not checked.finished:
        found.append(Problem("ledger", "the cell is not finished"))
    return [*found, *_tasks(cell, events), *_machine(cell, meta)]


def _settings(meta: Mapping[str, Any], cell: Cell) -> Iterator[Problem]:
    """Stopping rules, which an id leaves open, and settings that only one side knows."""
    then: Mapping[str, Any] = meta.get("values", {})
    for name, value in sorted(cell.values.items()):
        rule = matrix.stops_only(name, anytime=True)
        if rule and name in then and then[name] != value:
            yield Problem(name, f"recorded with {then[name]!r}, now {value!r}")
        elif name not in then and not name.startswith("RUN_"):
            yield Problem(name, f"unknown when it was recorded, now {value!r}")
    for name in sorted(set(then) - set(cell.values)):
        if not name.startswith("RUN_"):
            yield Problem(name, f"recorded with {then[name]!r}, unknown now")


def _tasks(cell: Cell, events: Sequence[Event]) -> Iterator[Problem]:
    suite = registry.module("SUITE", cell.suite)
    wanted = set(matrix.tasks(cell))
    for event in events:
        if event.kind == "control" and event.data["op"] == "task_begin":
            name = str(event.task)
            if name not in wanted:
                yield Problem(name, "is no task of the cell")
            elif suite.load(name.partition("/")[2]).digest != event.data["digest"]:
                yield Problem(name, "its file was changed since the cell was recorded")


def _machine(cell: Cell, meta: Mapping[str, Any]) -> Iterator[Problem]:
    """Times of another kind of machine cannot stand beside those of this one. What was not timed
    can."""
    mode = registry.module("BACKEND", cell.backend).probe().mode or "native"
    here, there = paths.results(mode).name, str(meta.get("machine", ""))
    if here.partition("+")[2] != there.partition("+")[2]:
        yield Problem("mode", f"recorded in {there}, here it would be {here}")
    if mode not in TIMED_MODES or not cell.values["VERIFY_TIMING"]:
        return
    if "manifest" not in meta:
        if here != there:
            yield Problem("machine", f"recorded on {there} without a manifest, this is {here}")
        return
    now = {"software": manifest.software(), "host": manifest.host()}
    for name, old, new in manifest.speed_differs(meta["manifest"], now):
        yield Problem(name, f"recorded with {old!r}, here {new!r}")


def take(cell: Cell, theirs: Path) -> Path:
    """Copy a cell to where it would lie here, with the recorded calls it names; the folder. Its
    ``cell.json`` then says where it comes from. A cell that is here already is an ``Error``."""
    target = matrix.folder(cell)
    if target.exists():
        fix = "make FRESH=1 bench sets a cell aside"
        raise Error("the cell is here already", cell.id, fix)
    events = ledger.read(theirs / ledger.NAME)
    meta = cells.read_meta(theirs) or {}
    origin = {"machine": meta.get("machine"), "head": events[-1].hash, "at": round(time.time(), 3)}
    meta |= {"machine": target.parent.name, "imported": origin}
    beside = target.parent / "aside" / f"import.{secrets.token_hex(4)}" / cell.id
    for sha in auditing.blobs_of(events):
        write_atomic(ledger.blob_path(beside, sha), ledger.blob_path(theirs, sha).read_bytes())
    write_atomic(beside / ledger.NAME, (theirs / ledger.NAME).read_bytes())
    text = json.dumps(meta, indent=1) + "\n"
    write_atomic(beside / "cell.json", text.encode(), mode=0o600)
    _calls(theirs, events)
    beside.rename(target)
    beside.parent.rmdir()
    return target


def _calls(theirs: Path, events: Sequence[Event]) -> None:
    """Recorded replies that a raised budget would ask for again."""
    machine = theirs.parent.name.partition("+")[0]
    stores = (theirs.parent / "calls", theirs.parent.parent / machine / "calls")
    for event in events:
        digest = str(event.data.get("answered", event.data.get("request", "")))
        place = Path(digest[:2]) / f"{digest}.json"
        kept = paths.results() / "calls" / place
        origin = next((one / place for one in stores if (one / place).is_file()), None)
        if digest and origin is not None and not kept.exists():
            write_atomic(kept, origin.read_bytes())
