# SPDX-License-Identifier: Apache-2.0
"""The parameter sweep in a search: it finds what was planted, and costs trials, not calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from doubles import ScriptedModel, ToldVerifier, by_luck, fenced, kernel
from recipe_lab import CHAIN, attempts, kernels, lab, steps, text_of

from kernelcoder.prompts import estimate_tokens, fill
from kernelcoder.records import Candidate, Request, Verdict
from kernelcoder.steps import param_sweep
from kernelcoder.task import Task

MARKED = (
    "// tune: TILE = 8 {8, 16, 32}\nconstexpr int TILE = 8;\n"
    "// tune: UNROLL = 1 {1, 2}\nconstexpr int UNROLL = 1;\n"
)


class Measured(ToldVerifier):
    """Judges a kernel by its constants: the first line is written from them before it is read."""

    def __init__(self, speeds: dict[tuple[int, int], float]) -> None:
        super().__init__()
        self.speeds = speeds
        self.tried: list[tuple[int, int]] = []

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        found = [int(one) for one in re.findall(r"constexpr int \w+ = (\d+);", candidate.source)]
        if found:
            self.tried.append((found[0], found[1]))
            speed = self.speeds.get((found[0], found[1]), 1.0)
            outcome = f"verified {speed}" if speed else "incorrect"
            source = f"// outcome: {outcome}\n" + candidate.source.partition("\n")[2]
            candidate = Candidate(source, candidate.language, candidate.backend)
        return super().verify(task, candidate, key, timing, incumbent)


def marked(request: Request) -> str:
    return fenced(kernel("verified 1.0", request.key[:6]) + MARKED)


def sweep(folder: Path, verifier: Measured, trials: int = 11, **more: Any) -> Any:
    more = {"changes": {"trials": trials}, "budget": 1, "script": marked, **more}
    return lab(folder, "param_sweep", verifier=verifier, **more)


def test_the_planted_best_is_found_and_judged(tmp_path: Path) -> None:
    for planted in [(8, 1), (16, 1), (32, 2)]:
        verifier = Measured({planted: 3.0})
        run = sweep(tmp_path / str(planted), verifier)
        (found,) = attempts(run.run())
        assert found.speedup("eager") == 3.0
        assert f"TILE = {planted[0]} {{8, 16, 32}}" in found.candidate.source
        assert f"int UNROLL = {planted[1]};" in found.candidate.source
        assert len(set(verifier.tried)) == 6, "all six settings"
        assert len(verifier.tried) == 11 + 1, "6 + 3 + 2 trials, and the verdict"


def test_trials_are_charged_and_no_call_is_made(tmp_path: Path) -> None:
    model = ScriptedModel(marked)
    run = sweep(tmp_path, Measured({}), model=model, trials=6)
    ledger = run.run()
    assert [one["what"] for one in steps(ledger)] == ["verify"] * 6
    assert len(model.requests) == 1
    (found,) = attempts(ledger)
    assert found.usage.input_tokens == 10


def test_the_budget_of_trials_holds(tmp_path: Path) -> None:
    for trials in (2, 3, 7, 30):
        verifier = Measured({})
        sweep(tmp_path / str(trials), verifier, trials=trials).run()
        assert len(verifier.tried) - 1 <= trials


def test_settings_that_are_wrong_are_not_taken(tmp_path: Path) -> None:
    wrong = dict.fromkeys([(8, 1), (16, 1), (16, 2), (32, 1), (32, 2)], 0.0)
    (found,) = attempts(sweep(tmp_path, Measured({**wrong, (8, 2): 0.5})).run())
    assert found.verdict.verified and found.speedup("eager") == 0.5


def test_where_nothing_is_right_the_kernel_stays_as_written(tmp_path: Path) -> None:
    every = {(tile, unroll): 0.0 for tile in (8, 16, 32) for unroll in (1, 2)}
    (found,) = attempts(sweep(tmp_path, Measured(every)).run())
    assert found.verdict.status == "incorrect"
    assert MARKED in found.candidate.source


def test_a_kernel_without_marks_is_judged_as_it_is(tmp_path: Path) -> None:
    ledger = lab(tmp_path, "param_sweep", by_luck, method=CHAIN, budget=4).run()
    assert steps(ledger) == []


def test_without_timing_the_first_that_is_right_is_taken(tmp_path: Path) -> None:
    verifier = Measured({(8, 1): 0.0})
    run = sweep(tmp_path, verifier, timing=False)
    (found,) = attempts(run.run())
    assert found.verdict.verified
    assert len(verifier.tried) == 3, "the first was wrong, the second right, and the verdict"


def test_the_prompt_asks_for_marks_except_where_a_kernel_fails(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: fenced(kernel("incorrect", request.key[:6])))
    lab(tmp_path, "param_sweep", by_luck, model=model, method=CHAIN, budget=2).run()
    draft, debug = kernels(model)
    assert "// tune: TILE = 64 {16, 32, 64, 128}" in text_of(draft)
    assert "tune:" not in text_of(debug)


def test_a_model_that_learns_nothing_of_it_is_not_asked_more_because_of_a_sweep(
    tmp_path: Path,
) -> None:
    """A child sees the swept kernel, marks and all, as its parent."""
    model = ScriptedModel(marked)
    sweep(tmp_path, Measured({(32, 2): 3.0}), model=model, method=CHAIN, budget=2).run()
    child = kernels(model)[1]
    assert "// tune: TILE = 32 {8, 16, 32}\nconstexpr int TILE = 32;" in text_of(child)


@pytest.mark.parametrize("language", ["cpp", "cuda", "python"])
def test_its_words_are_counted(language: str) -> None:
    example = param_sweep._EXAMPLE.get(language, param_sweep._EXAMPLE["cpp"])
    said = fill("thoughts", thoughts=fill("steps/tunables", example=example))
    assert estimate_tokens(said) + 2 <= param_sweep.words < 2 * estimate_tokens(said)
