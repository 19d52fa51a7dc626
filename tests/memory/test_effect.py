# SPDX-License-Identifier: Apache-2.0
"""What memories do to later tasks, all of it real but the judge: recipe proposer, engine, lessons.

The judge reads a kernel's parameters: some are wrong on every task, and wide vectors are fast on
every task. So there is something to learn, and drafts without a memory do not know it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from doubles import ToldVerifier, task, verdict
from memory.streams import run
from models.recipe_table import RECIPES

from kernelcoder import ledger as ledgers
from kernelcoder.memory import evol_rule, none, placebo, reasoning_bank
from kernelcoder.models import recipe, recipes
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task

OPS = ("abs", "neg", "square", "half", "twice", "cube", "shift", "clip", "sign", "step")
TASKS = [
    dataclasses.replace(
        task(f"{name}_of", "elementwise"), recipe={**RECIPES["relu"], "expr": f"max(x, {at}.0f)"}
    )
    for at, name in enumerate(OPS)
]
MEMBERS: dict[str, tuple[Any, Any]] = {
    "none": (none, none.Options()),
    "placebo": (placebo, placebo.Options()),
    "reasoning_bank": (reasoning_bank, reasoning_bank.Options(2, 30, 0, 500, False, False, 4)),
    "evol_rule": (evol_rule, evol_rule.Options(1, 3, 70, 32, True, 8)),
}


class ByParameters(ToldVerifier):
    """Judges a recipe kernel by its parameters."""

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        parsed = recipes.parse(candidate.source)
        assert parsed is not None
        params = parsed[1]
        if params["tail"] == "overlap" or params["layout"] == "copy" or params["lanes"] == 4:
            return verdict("incorrect")
        return verdict("verified", float(params["lanes"]) / 8.0)

    def retime(self, task: Task, candidates: Any, key: str) -> Any:
        return []


def outcomes(folder: Path, name: str) -> list[tuple[str, float]]:
    """Source and speed (0 if wrong) of every attempt on the later half of the tasks."""
    module, options = MEMBERS[name]
    ledger = run(folder, module, options, recipe.Recipe(), TASKS, budget=4, verifier=ByParameters())
    return [
        (one.candidate.source if one.candidate else "", one.speedup("eager") or 0.0)
        for of in TASKS[len(TASKS) // 2 :]
        for one in ledgers.attempts(ledger.events, of.id, ledger.dir)
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, float]]]:
    return {name: outcomes(tmp_path_factory.mktemp(name), name) for name in MEMBERS}


@pytest.mark.parametrize("name", ["reasoning_bank", "evol_rule"])
def test_what_was_learnt_helps_later_tasks(
    name: str, found: dict[str, list[tuple[str, float]]]
) -> None:
    without, learnt = (fmean(speed for _, speed in found[one]) for one in ("none", name))
    right = [sum(speed > 0 for _, speed in found[one]) for one in ("none", name)]
    assert learnt > 1.1 * without and right[1] > right[0]


def test_a_placebo_changes_nothing(found: dict[str, list[tuple[str, float]]]) -> None:
    assert found["placebo"] == found["none"]
