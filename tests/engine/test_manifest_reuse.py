# SPDX-License-Identifier: Apache-2.0
"""What a cell was begun on is recorded; a cell may stand for one here only if nothing differs."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import Lab, ScriptedModel, ToldVerifier

from kernelcoder import auditing, cells, config, ledger, manifest, matrix, paths, reusing
from kernelcoder.cells import Maker
from kernelcoder.errors import Error
from kernelcoder.ledger import Ledger
from kernelcoder.methods import best_of_n

NAMES = ("core/relu",)


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> matrix.Cell:
    """The best-of-N cell on relu, with an empty results folder of the machine ``here``."""
    for name in [name for name in os.environ if name.startswith(("CONFIG_", "KERNELCODER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path / "out"))
    monkeypatch.setenv("KERNELCODER_MACHINE", "here")
    file = tmp_path / "x.config"
    file.write_text(
        'CONFIG_METHOD_BASE=n\nCONFIG_METHOD_BEST_OF_N=y\nCONFIG_SUITE_CORE_TASKS="relu"\n'
    )
    return matrix.cells(config.load(file, ("CONFIG_BUDGET=2",)))[0]


MAKER = Maker("7", "prompts-digest", NAMES)


def recorded(cell: matrix.Cell, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cell finished in another results folder, on the machine ``there``."""
    from benchmarks.core import relu

    with monkeypatch.context() as patch:
        patch.setenv("KERNELCODER_O", str(root))
        patch.setenv("KERNELCODER_MACHINE", "there")
        cells.prepare(cell, MAKER)
        folder = matrix.folder(cell)
    task = dataclasses.replace(relu.TASK, digest=relu_digest())
    lab = Lab(folder.parent, best_of_n, best_of_n.Options(False), ScriptedModel(), ToldVerifier())
    lab = dataclasses.replace(lab, budget=2, workers=1, backend="cpu")
    path = lab.run(cell=cell.id, task=task).path
    with Ledger(path) as written:
        written.append("control", {"op": "close"})
    return folder


def relu_digest() -> str:
    """The digest of the task as its suite loads it."""
    from kernelcoder import registry

    return str(registry.module("SUITE", "core", {}).load("relu").digest)


@pytest.fixture
def theirs(cell: matrix.Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return recorded(cell, tmp_path / "elsewhere", monkeypatch)


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite cell.json."""
    meta = json.loads((folder / "cell.json").read_text())
    change(meta)
    (folder / "cell.json").write_text(json.dumps(meta))


def test_a_manifest_says_what_the_cell_began_on(cell: matrix.Cell, theirs: Path) -> None:
    found = json.loads((theirs / "cell.json").read_text())["manifest"]
    assert found["config"] == manifest.config_hash(cell.values)
    assert found["software"]["packages"]["numpy"] and found["software"]["python"].startswith("3.")
    assert len(found["software"]["all_packages"]) == 64
    assert found["host"]["cores"] >= 1 and found["host"]["memory_gib"] > 0
    assert len(found["now"]["load"]) == 3
    assert str(paths.ROOT) not in json.dumps(found)


def test_the_hash_of_a_configuration_leaves_out_how_it_is_run(cell: matrix.Cell) -> None:
    plain = manifest.config_hash(cell.values)
    assert manifest.config_hash({**cell.values, "RUN_WORKERS": 99}) == plain
    assert manifest.config_hash({**cell.values, "BUDGET": 99}) != plain


def test_what_cannot_be_found_out_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(manifest.shutil, "which", lambda name: None)
    monkeypatch.setattr(manifest, "_CPU", tmp_path)
    fresh = manifest.host.__wrapped__()
    assert fresh["gpus"] == []
    assert (fresh["governor"], fresh["max_mhz"]) == (None, None)
    assert manifest.software.__wrapped__()["compilers"] == {}


def test_a_device_is_recorded_with_its_clocks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'NVIDIA H200, 580.1, 143771 MiB, 1980 MHz, 3201 MHz, Disabled'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (one,) = manifest.host.__wrapped__()["gpus"]
    assert (one["name"], one["clocks.max.sm"]) == ("NVIDIA H200", "1980 MHz")
    assert manifest.now()["gpus"] == [], "a line with other fields is not guessed at"


def test_an_equal_cell_is_taken_over_and_says_where_it_is_from(
    cell: matrix.Cell, theirs: Path
) -> None:
    assert reusing.find(theirs.parent.parent.parent, cell.id) == theirs
    assert reusing.differences(cell, MAKER, theirs) == []
    taken = reusing.take(cell, theirs)
    assert taken == matrix.folder(cell)
    assert (taken / "ledger.jsonl").read_bytes() == (theirs / "ledger.jsonl").read_bytes()
    meta = json.loads((taken / "cell.json").read_text())
    assert (meta["machine"], meta["imported"]["machine"]) == ("here", "there")
    assert stat.S_IMODE((taken / "cell.json").stat().st_mode) == 0o600
    assert auditing.audit(taken).problems == ()
    events = ledger.read(taken / "ledger.jsonl")
    digests = {str(event.data["request"]) for event in events if event.kind == "call"}
    kept = {path.stem for path in (paths.results() / "calls").glob("*/*.json")}
    assert digests == kept, "raising the budget pays nothing twice"
    assert not [path for path in (taken.parent / "aside").iterdir()]
    assert cells.differing(meta, cell, MAKER) == [], "a bench goes on with it"
    with pytest.raises(Error, match="here already"):
        reusing.take(cell, theirs)


def _set(*keys: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(meta: dict[str, Any]) -> None:
        for key in keys[:-1]:
            meta = meta[key]
        meta[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("values", "BUDGET", to=3), "BUDGET"),
        (_set("values", "FEWSHOT", to=3), "FEWSHOT"),
        (_set("values", "NO_SUCH", to=1), "NO_SUCH"),
        (_set("verify_version", to="6"), "verifier"),
        (_set("prompts", to="other"), "prompts"),
        (_set("tasks", to=["core/gelu"]), "core/gelu"),
        (_set("cell", to="another"), "cell.json"),
        (_set("machine", to="there+emulated"), "mode"),
        (_set("manifest", "host", "processor", to="abacus"), "processor"),
        (_set("manifest", "software", "torch", to="1.0"), "torch"),
        (_set("manifest", "host", "gpus", to=[{"name": "NVIDIA H200"}]), "gpus"),
    ],
)
def test_whatever_differs_is_listed(
    cell: matrix.Cell, theirs: Path, change: Callable[[dict[str, Any]], None], where: str
) -> None:
    changed(theirs, change)
    assert where in {one.where for one in reusing.differences(cell, MAKER, theirs)}


def test_everything_that_differs_is_listed_at_once(cell: matrix.Cell, theirs: Path) -> None:
    changed(theirs, _set("values", "FEWSHOT", to=3))
    changed(theirs, _set("prompts", to="other"))
    changed(theirs, _set("manifest", "host", "cores", to=512))
    found = [one.where for one in reusing.differences(cell, MAKER, theirs)]
    assert found == ["FEWSHOT", "prompts", "cores"]


def test_an_old_cell_without_a_manifest_is_taken_on_its_own_machine_only(
    cell: matrix.Cell, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(theirs, lambda meta: meta.pop("manifest"))
    assert [one.where for one in reusing.differences(cell, MAKER, theirs)] == ["machine"]
    monkeypatch.setenv("KERNELCODER_MACHINE", "there")
    assert reusing.differences(cell, MAKER, theirs) == []
    untimed = dataclasses.replace(cell, values={**cell.values, "VERIFY_TIMING": False})
    monkeypatch.setenv("KERNELCODER_MACHINE", "here")
    changed(theirs, _set("values", "VERIFY_TIMING", to=False))
    assert reusing.differences(untimed, MAKER, theirs) == [], "what is not timed is true anywhere"


def test_a_forged_or_unfinished_ledger_and_a_changed_task_are_refused(
    cell: matrix.Cell, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = theirs / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    (problem,) = reusing.differences(cell, MAKER, theirs)
    assert problem.what == "the cell is not finished"
    path.write_text("".join(lines).replace('"eager"', '"eagle"', 1))
    assert {one.where for one in reusing.differences(cell, MAKER, theirs)} == {"ledger"}
    path.write_text("".join(lines))
    from kernelcoder import registry

    suite = registry.module("SUITE", cell.suite)
    task = suite.load("relu")
    monkeypatch.setattr(suite, "load", lambda name: dataclasses.replace(task, digest="new"))
    (problem,) = reusing.differences(cell, MAKER, theirs)
    assert problem.what == "its file was changed since the cell was recorded"


def test_what_is_not_there_or_there_twice_is_an_error(cell: matrix.Cell, tmp_path: Path) -> None:
    with pytest.raises(Error, match="there is no cell"):
        reusing.find(tmp_path, cell.id)
    for machine in ("a", "b"):
        (tmp_path / machine / cell.id).mkdir(parents=True)
        (tmp_path / machine / cell.id / "cell.json").write_text("{}")
    with pytest.raises(Error, match="more than once"):
        reusing.find(tmp_path, cell.id)
