# SPDX-License-Identifier: Apache-2.0
"""What the guard and the audit of symbols refuse is judged once more without them: the layers
behind must hold by themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from redteam.switches import SWITCHES, Workbench

from kernelcoder.redteam.corpus import HOSTILE
from kernelcoder.redteam.court import OPTIONS, Court
from kernelcoder.redteam.entry import LIBC, Hostile

# A right kernel that only uses a name it has no use for: nothing behind the audit minds.
HARMLESS = {"calls-the-system"}
BEHIND = [
    entry
    for entries in HOSTILE["cpu"].values()
    for entry in entries
    if LIBC in entry.source and not entry.slow and not entry.timed and entry.name not in HARMLESS
]


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Court]:
    folder = tmp_path_factory.mktemp("behind")
    with pytest.MonkeyPatch.context() as patch:
        bench = Workbench(patch, folder, OPTIONS)
        for name in ("guard", "audit"):
            SWITCHES[name](bench)
        with Court(shared_cache, dataclasses.replace(OPTIONS, timing=False)) as made:
            yield made


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=[pytest.mark.slow] if place % 3 else [], id=entry.name)
        for place, entry in enumerate(BEHIND)
    ],
)
def test_it_is_caught_without_guard_and_audit(court: Court, entry: Hostile) -> None:
    trial = court.hostile(entry)
    assert court.undisturbed(entry) == ""
    assert trial.verdict.status in entry.accept, (trial.verdict.reason, trial.verdict.log)
