# SPDX-License-Identifier: Apache-2.0
"""Files of skills: digest, migration, lock, whole or not at all, corrupt ones kept (KW2, KW3)."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from skill_doubles import VERIFIER, seasoned, skill, trial

from kernelcoder.errors import Error
from kernelcoder.memory.skill import evidence, store
from kernelcoder.memory.skill import library as libraries
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skills import Options
from kernelcoder.memory.skills import _load as first_library
from kernelcoder.records import sha256, to_json

TRUSTED = evidence.judged(seasoned(8), VERIFIER, ())


def written(path: Path, *skills: Any) -> str:
    return store.write(path, Library(tuple(skills or (TRUSTED,))))


def test_a_library_is_read_as_it_was_written(tmp_path: Path) -> None:
    digest = written(tmp_path / "a.json")
    assert store.read(tmp_path / "a.json").skills == (TRUSTED,)
    assert written(tmp_path / "b.json") == digest
    assert written(tmp_path / "c.json", skill()) != digest
    assert not [one for one in tmp_path.iterdir() if one.name.endswith(("~", ".tmp"))]


@pytest.mark.parametrize("damage", ["cut", "word", "status", "digest", "format", "empty", "banana"])
def test_a_corrupt_file_is_an_error_and_is_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.json"
    written(path)
    text = path.read_text()
    data = json.loads(text)
    broken = {
        "cut": text[: len(text) // 2],
        "word": text.replace("head", "tail"),
        "status": text.replace('"status": "trusted"', '"status": "draft"'),
        "digest": json.dumps({**data, "digest": "0" * 64}),
        "format": json.dumps({**data, "format": 99}),
        "empty": "",
        "banana": "banana",
    }[damage]
    assert broken != text
    path.write_text(broken)
    with pytest.raises(Error, match="not a skill library") as caught:
        store.read(path)
    assert path.read_text() == broken, "what was there stays"
    (copy,) = tmp_path.glob("*.corrupt")
    assert copy.read_text() == broken and copy.name in caught.value.fix
    with pytest.raises(Error):
        store.read(path)
    assert len(list(tmp_path.glob("*.corrupt"))) == 1


def old_form() -> dict[str, Any]:
    """A file of format 1."""
    one = to_json(skill(evidence=(trial(),)))
    one["ranges"] = one.pop("parameters")
    for name in ("kind", "edits", "tuned"):
        del one[name]
    for row in one["evidence"]:
        del row["outcome"]
    digest = sha256(json.dumps([one], sort_keys=True, separators=(",", ":")))
    return {"format": 1, "digest": digest, "skills": [one]}


def test_an_old_file_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old_form()))
    (found,) = store.read(path).skills
    assert found == skill(evidence=(trial(),))


def test_a_changed_old_file_is_refused(tmp_path: Path) -> None:
    data = old_form()
    data["skills"][0]["template"] = "banana"
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data))
    with pytest.raises(Error, match="digest"):
        store.read(path)


def _write_often(path: Path, block: int) -> None:
    one = skill(defaults={"block": block}, template="${op}" + "x" * 20_000 + "${block}")
    for _ in range(8):
        store.write(path, Library((one,)))


def test_writers_at_the_same_time_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    written(path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, b)) for b in (256, 512)]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        assert len(store.read(path).skills) == 1  # never half of one
    for one in writers:
        one.join()
        assert one.exitcode == 0
    assert not list(tmp_path.glob("*.corrupt"))


def test_an_imported_skill_is_a_draft_until_it_is_verified_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    written(tmp_path / "a.json")
    name = store.imported(tmp_path / "a.json")
    (found,) = first_library(None, Options(1, 1, 1, 0, True, name)).skills
    assert found.status == "draft" and "imported" in found.history[-1].why
    assert {one.kind for one in found.evidence} == {"claimed"}
    assert evidence.judged(found, VERIFIER, ()).status == "draft"
    fresh = evidence.added(found, trial(), trial(1, task="core/silu"))
    assert evidence.judged(fresh, VERIFIER).status == "verified"
    assert first_library(None, Options(1, 1, 1, 0, True, "")) == Library()
    with pytest.raises(Error, match="no skill library"):
        store.named("0123456789ab")


def test_a_snapshot_is_json_and_comes_back() -> None:
    full = Library((TRUSTED,)).saw("core/relu", {"a": [1]}).scored(0.7, True).filled(3, 1)
    full = full.declining("core/abs", "no gain")
    data = json.loads(json.dumps(libraries.dump(full)))
    assert libraries.load(data) == full
    data["skills"][0]["intent"] = "another"
    with pytest.raises(Error, match="digest"):
        store.of_snapshot(data)
    assert store.of_snapshot(None) == Library()
