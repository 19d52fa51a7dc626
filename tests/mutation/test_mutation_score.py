# SPDX-License-Identifier: Apache-2.0
"""Mutants through the real verifier: they are killed, and a weak test is told apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder import mutation
from kernelcoder.errors import Error
from kernelcoder.mutation import scoring, table, wider
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.service import KernelVerifier

FEW, MANY = 6, 24
OPTIONS = VerifyOptions(
    timing=False,
    timeout_seconds=5,
    compile_timeout_seconds=60,
    memory_mb=2048,
    threads=1,
    baseline="eager",
    measure_compile=False,
    retime_blocks=4,
)
RELU = """#include <kernelcoder.h>
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = kc::rows(y), n = kc::cols(y);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(kc::data<T>(x)[kc::row_offset(x, r) + i * kc::col_stride(x)]);
        kc::data<T>(y)[r * n + i] = T(v < 0.0f ? 0.0f : v);
      }
  });
}
"""


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def timing_verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    options = dataclasses.replace(OPTIONS, timing=True)
    made = KernelVerifier(options, shared_cache, 2)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["relu", "sum_last"])
def test_mutants_are_killed(verifier: KernelVerifier, name: str) -> None:
    """Without the large timing cases, which only the slow test looks at."""
    task = dataclasses.replace(core.load(name), timing=())
    score = scoring.score(task, verifier, FEW, workers=2)
    assert len(score.outcomes) == FEW and score.known > FEW
    assert score.count("killed") >= 3 and len(score.classes) >= 3
    assert score.bad == ()


def test_a_weak_test_is_told(verifier: KernelVerifier) -> None:
    """One small visible case and no hidden one: mutants of tails and strides survive."""
    task = core.load("relu")
    weak = dataclasses.replace(
        task, visible=task.visible[:1], holdout=lambda rng: (), timing=(), digest="weak"
    )
    full = core.load("relu").holdout
    found = [m for m in mutation.mutants(RELU) if m.rule == "row pitch taken for dense"]
    assert len(found) == 1
    assert not verifier.verify(task, _candidate(found[0].source), "5eed").verified
    assert verifier.verify(weak, _candidate(found[0].source), "5eed").verified
    builder = verifier.builder
    paths = [builder.build(source).path for source in (RELU, found[0].source)]
    wide = dataclasses.replace(weak, holdout=full)
    assert paths[0] is not None and paths[1] is not None
    with wider.Wider(wide, paths[0], builder, OPTIONS, 0) as beside:
        difference, _, _ = beside.difference(paths[1])
        assert difference is not None and not difference.large
        assert beside.difference(paths[0])[0] is None


def _candidate(source: str) -> scoring.Candidate:
    return scoring.Candidate(source, "cpp", "cpu")


def test_unexplained_survivors_count_against_the_score() -> None:
    mutant = mutation.mutants(RELU, limit=1)[0]
    outcome = scoring.Outcome(mutant, "survived", "verified", detail="x: 1 of 2 elements differ")
    killed = scoring.Outcome(mutant, "killed", "incorrect", "tail unwritten")
    same = scoring.Outcome(mutant, "equivalent", "verified")
    score = scoring.Score("core/relu", "cpu", 0, 9, (outcome, killed, same))
    assert (score.told, score.value, score.bad) == (2, 0.5, (outcome,))
    explained = dataclasses.replace(outcome, reason="another order of the same sum")
    assert dataclasses.replace(score, outcomes=(explained, killed)).bad == ()
    page = table.page([score], "--seed 0", {"verifier": "3"})
    assert "| core/relu | 9 | 3 | 0 | 1 | 1 | 1 | 50.0 % |" in page
    assert "**Not explained.**" in page and mutant.diff in page


def test_a_wrong_kernel_has_no_score(verifier: KernelVerifier) -> None:
    wrong = RELU.replace("? 0.0f : v", "? v : 0.0f")
    with pytest.raises(Error, match="not verified itself"):
        scoring.score(core.load("relu"), verifier, 1, source=wrong)


def test_machine_code(verifier: KernelVerifier) -> None:
    def digest(source: str) -> str:
        path = verifier.builder.build(source).path
        assert path is not None
        return scoring.program(path)

    assert digest(RELU) == digest("// a comment\n" + RELU.replace("zero", "nought"))
    assert digest(RELU) != digest(RELU.replace("v < 0.0f", "v <= 1.0f"))


def test_no_elf_is_compared_whole(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("b")
    assert scoring.program(one) != scoring.program(other)


@pytest.mark.slow
@pytest.mark.parametrize("name", core.names())
def test_score_of_every_operator(timing_verifier: KernelVerifier, name: str) -> None:
    """At least six mutants that count in at least four classes; each is killed or explained."""
    score = scoring.score(core.load(name), timing_verifier, MANY, workers=2)
    assert score.bad == ()
    assert score.told >= 6 and len(score.classes) >= 4
