# SPDX-License-Identifier: Apache-2.0
"""Libraries as files: checked when read, whole when written, and never silently replaced.

A file says its format and the SHA-256 of its content. Files of the machine lie under
``results/<machine>/skills/``, named by that digest, so what a cell began with cannot change under
it. Imported skills are drafts again: their evidence is kept as claimed, and counts for nothing
until this machine's verifier has judged them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kernelcoder import paths
from kernelcoder.errors import BROKEN, Error
from kernelcoder.memory.skill import library as libraries
from kernelcoder.memory.skill import schema
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skill.schema import Change, Skill
from kernelcoder.records import from_json, sha256, to_json

NAMED = 12  # hex digits of a digest that name a library


def folder() -> Path:
    """Where this machine keeps imported libraries."""
    return paths.results() / "skills"


def text_of(library: Library) -> str:
    """The file's text: format, digest, skills. Cells' statistics stay with the cells."""
    skills = [to_json(skill) for skill in library.skills]
    data = {"format": schema.FORMAT, "digest": _digest(skills), "skills": skills}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def write(path: Path, library: Library) -> str:
    """Write a library and return its digest: beside and renamed, under a lock, so that a reader
    sees a whole file or the one before."""
    text = text_of(library)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    return str(json.loads(text)["digest"])


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a file; another writer waits."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def read(path: Path) -> Library:
    """The library of a file, of this format or an older one.

    Anything else is an :class:`Error`, and a copy named ``.corrupt`` is put beside the file: it is
    neither taken for an empty library nor overwritten."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise Error(f"cannot read {path}: {problem.strerror}") from problem
    try:
        data = migrated(json.loads(raw.decode("utf-8")))
        if data["digest"] != _digest(data["skills"]):
            raise ValueError("its digest does not fit: it was changed after it was written")
        skills = tuple(schema.load(one) for one in data["skills"])
    except (ValueError, KeyError, TypeError) as problem:
        copy = _backup(path, raw)
        fix = f"a copy is kept as {copy.name}; restore the file, or export the library again"
        what = f"not a skill library: {problem}"
        raise Error(what, where=str(path), fix=fix, code=BROKEN) from problem
    if len({skill.name for skill in skills}) < len(skills):
        raise Error("two skills have one name and version", where=str(path), code=BROKEN)
    return Library(skills=skills)


def _backup(path: Path, raw: bytes) -> Path:
    """A copy of what could not be read; the same content is kept once."""
    copy = path.with_name(f"{path.name}.{sha256(raw)[:NAMED]}.corrupt")
    if not copy.exists():
        copy.write_bytes(raw)
    return copy


def migrated(data: Any) -> dict[str, Any]:
    """File data in this format. Format 1 had neither edits nor tuned parameters, called a
    parameter's schema ``ranges``, and knew of a trial only its verdict. Raises ``ValueError``."""
    if not isinstance(data, Mapping) or not isinstance(data.get("skills"), list):
        raise ValueError("it has no list of skills")
    if data.get("format") == schema.FORMAT:
        return dict(data)
    if data.get("format") != 1:
        raise ValueError(f"format {data.get('format')!r} is not known here")
    if data.get("digest") != _digest(data["skills"]):
        raise ValueError("its digest does not fit: it was changed after it was written")
    skills = [_from_1(one) for one in data["skills"]]
    return {"format": schema.FORMAT, "digest": _digest(skills), "skills": skills}


def _from_1(old: Mapping[str, Any]) -> dict[str, Any]:
    """One skill of format 1."""
    new = {**old, "kind": "kernel", "edits": [], "tuned": {}, "parameters": old["ranges"]}
    del new["ranges"]
    new["evidence"] = [
        {**one, "outcome": "pass" if one["status"] == "verified" else "fail"}
        for one in old["evidence"]
    ]
    new["digest"] = ""
    if found := schema.problems(new):
        raise ValueError("; ".join(found[:4]))
    skill: Skill = from_json(Skill, new)
    return dict(to_json(schema.sealed(skill)))


def claimed(library: Library) -> Library:
    """The library as others' word: every skill a draft, every trial a claim."""
    return Library(skills=tuple(_claimed(skill) for skill in library.skills))


def _claimed(skill: Skill) -> Skill:
    trials = tuple(replace(one, kind="claimed") for one in skill.evidence)
    history = skill.history
    if skill.status != "draft":
        why = "imported: nothing of it was verified here"
        history = (*history, Change(skill.status, "draft", why, 0))
    return replace(skill, evidence=trials, status="draft", history=history)


def imported(path: Path) -> str:
    """Check a file and keep it as this machine's; returns the name to put into the
    configuration."""
    library = claimed(read(path))
    name = str(json.loads(text_of(library))["digest"])[:NAMED]
    write(folder() / f"{name}.json", library)
    return name


def named(name: str) -> Library:
    """The library that a configuration names; the empty one for "". Raises :class:`Error`."""
    if not name:
        return Library()
    path = folder() / f"{name}.json"
    if not path.exists():
        fix = "python -m kernelcoder skills --import FILE keeps one and prints its name"
        raise Error(f"there is no skill library {name!r}", where="MEMORY_SKILLS_LIBRARY", fix=fix)
    library = read(path)
    if not str(json.loads(text_of(library))["digest"]).startswith(name):
        raise Error("the library is not the one it is named for", where=str(path), code=BROKEN)
    return library


def of_snapshot(snapshot: Any) -> Library:
    """The library of a cell's snapshot; a broken one is an :class:`Error`."""
    try:
        return libraries.load(snapshot)
    except (ValueError, KeyError, TypeError) as problem:
        raise Error(f"the cell's skills cannot be read: {problem}", code=BROKEN) from problem


def _digest(skills: Any) -> str:
    return sha256(json.dumps(skills, sort_keys=True, separators=(",", ":")))
