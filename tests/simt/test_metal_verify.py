# SPDX-License-Identifier: Apache-2.0
"""Metal candidates through the real verifier, emulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from simt import metal_candidates

from benchmarks import core
from kernelcoder.backends import metal as backend
from kernelcoder.backends import metal_builder
from kernelcoder.backends.metal_builder import MetalBuilder
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

pytest.importorskip("mlx.core", reason="mlx is not installed")
if backend.probe().mode != "emulated":
    pytest.skip(f"no emulation here: {backend.probe().reason}", allow_module_level=True)

OPTIONS = VerifyOptions(False, 30, 60, 2048, 1, "eager", False, 4)


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    made = backend.open_verifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


def judge(verifier: Verifier, source: str, task: str) -> Verdict:
    return verifier.verify(core.load(task), Candidate(source, "python", "metal"), "5eed")


def test_a_right_kernel_is_verified_and_not_timed(verifier: Verifier) -> None:
    verdict = judge(verifier, metal_candidates.SOFTMAX, "softmax")
    assert verdict.verified, verdict.reason
    assert verdict.mode == "emulated" and verdict.timing is None
    assert verdict.checked["launches"] > 0
    assert verdict.checked["cases under the checked build"] >= 3
    assert verdict.versions["emulator"].startswith("libsimt-")


@pytest.mark.parametrize("source", [metal_candidates.RELU, metal_candidates.STRIDED])
def test_layouts_and_sizes(verifier: Verifier, source: str) -> None:
    verdict = judge(verifier, source, "relu")
    assert verdict.verified, verdict.reason


def test_what_a_source_asks_for_is_remembered_on_disk(
    verifier: Verifier, shared_cache: Path
) -> None:
    assert judge(verifier, metal_candidates.SOFTMAX, "softmax").verified
    built = MetalBuilder(OPTIONS, shared_cache).build(metal_candidates.SOFTMAX)
    assert built.ok and built.audit is not None and built.audit.symbols > 0


QUICK = ("first barrier missing", "one past the row", "array too short", "float into bfloat")


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in metal_candidates.WRONG
    ],
)
def test_planted_mistakes(verifier: Verifier, name: str) -> None:
    source, status, words = metal_candidates.WRONG[name]
    verdict = judge(verifier, source, "softmax")
    assert verdict.status == status, verdict.reason
    assert words in verdict.reason


@pytest.mark.parametrize("name", metal_candidates.NO_KERNEL)
def test_who_does_the_work(verifier: Verifier, name: str) -> None:
    source, words = metal_candidates.NO_KERNEL[name]
    verdict = judge(verifier, source, "relu")
    assert verdict.status == "refused" and words in verdict.reason, verdict.reason


@pytest.mark.slow
def test_sizes_as_template_arguments(verifier: Verifier) -> None:
    """One kernel per shape: dozens of them."""
    source = metal_candidates.SOFTMAX.replace("int n = x_shape[x_ndim - 1];", "int n = N;").replace(
        '("T", x.dtype)]', '("T", x.dtype), ("N", n)]'
    )
    verdict = judge(verifier, source, "softmax")
    assert verdict.verified, verdict.reason


def test_a_kernel_per_call_is_refused(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that are new each time can never all be there."""
    monkeypatch.setattr(metal_builder, "_MOST", 24)
    source = metal_candidates.RELU.replace(
        "def kernel(x):", "import random\n\n\ndef kernel(x):\n    global relu"
    ).replace(
        "    return relu(",
        "    relu = mx.fast.metal_kernel(name='r', input_names=['x'], output_names=['out'],\n"
        "        source=SOURCE + f'// {random.random()}')\n    return relu(",
    )
    verdict = judge(verifier, source, "relu")
    assert verdict.status == "compile_error" and "more than 24 kernels" in verdict.reason
