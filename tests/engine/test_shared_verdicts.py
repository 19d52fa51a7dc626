# SPDX-License-Identifier: Apache-2.0
"""Verdicts shared between cells: one judgement for a kernel under one secret and one setting."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from doubles import POOL, ToldVerifier, kernel

from kernelcoder.engine.verdicts import SharedVerdicts, shared_secret
from kernelcoder.records import Candidate
from kernelcoder.task import Task
from kernelcoder.verify import Finalist

GOOD = Candidate(kernel("verified 2.0"), "cpp", "fake")


def test_a_kernel_is_judged_once_for_all_who_share(tmp_path: Path) -> None:
    told = ToldVerifier()
    first, second = (SharedVerdicts(told, tmp_path, "options") for _ in range(2))
    one = first.verify(POOL[0], GOOD, "key", incumbent=5.0)
    assert second.verify(POOL[0], GOOD, "key") == one
    assert len(told.verified) == 1
    assert told.incumbents[GOOD.sha] is None, "a shared verdict does not race against one cell"


def test_anything_a_verdict_depends_on_makes_another(tmp_path: Path) -> None:
    told = ToldVerifier()
    shared = SharedVerdicts(told, tmp_path, "options")
    shared.verify(POOL[0], GOOD, "key")
    other = Candidate(kernel("verified 2.0", "other"), "cpp", "fake")
    shared.verify(POOL[0], other, "key")
    shared.verify(POOL[0], GOOD, "another key")
    shared.verify(POOL[1], GOOD, "key")
    shared.verify(dataclasses.replace(POOL[0], digest="changed"), GOOD, "key")
    shared.verify(POOL[0], GOOD, "key", timing=False)
    SharedVerdicts(told, tmp_path, "other options").verify(POOL[0], GOOD, "key")
    assert len(told.verified) == 7


def test_a_fault_of_the_machine_is_not_kept(tmp_path: Path) -> None:
    told = ToldVerifier()
    told.infra = 1
    shared = SharedVerdicts(told, tmp_path, "options")
    assert shared.verify(POOL[0], GOOD, "key").status == "infra_error"
    assert shared.verify(POOL[0], GOOD, "key").status == "verified"


def test_a_damaged_entry_is_judged_anew(tmp_path: Path) -> None:
    told = ToldVerifier()
    shared = SharedVerdicts(told, tmp_path, "options")
    one = shared.verify(POOL[0], GOOD, "key")
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:-20])
    assert shared.verify(POOL[0], GOOD, "key") == one
    assert len(told.verified) == 2


def test_final_timings_are_shared_by_the_very_same_finalists(tmp_path: Path) -> None:
    told = ToldVerifier()
    shared = SharedVerdicts(told, tmp_path, "options")
    other = Candidate(kernel("verified 3.0", "other"), "cpp", "fake")
    first = shared.retime(POOL[0], [GOOD, other], "key")
    assert shared.retime(POOL[0], [other, GOOD], "key") == first
    assert len(told.retimed) == 1
    shared.retime(POOL[0], [GOOD], "key")
    assert len(told.retimed) == 2, "fewer finalists are another measurement"


def test_finalists_that_failed_are_timed_anew(tmp_path: Path) -> None:
    class Failing(ToldVerifier):
        def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
            super().retime(task, candidates, key)
            return [Finalist(one.sha, None, None, "machine: failed") for one in candidates]

    told = Failing()
    shared = SharedVerdicts(told, tmp_path, "options")
    for _ in range(2):
        shared.retime(POOL[0], [GOOD], "key")
    assert len(told.retimed) == 2


def test_one_secret_a_seed_that_only_its_owner_may_read(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: shared_secret(tmp_path, 0), range(32)))
    assert len(found) == 1 and len(next(iter(found))) == 64
    assert shared_secret(tmp_path, 1) not in found
    assert stat.S_IMODE((tmp_path / "seed-0.key").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"seed-0.key", "seed-1.key"}
