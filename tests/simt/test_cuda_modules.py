# SPDX-License-Identifier: Apache-2.0
"""CUDA candidates that are Python modules with ``load_inline``, through the real verifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import cuda
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

MODULES = Path(__file__).with_name("cuda_modules")
OPTIONS = VerifyOptions(False, 12, 60, 2048, 1, "eager", False, 4)
Judge = Callable[..., Verdict]


def made(cache: Path, library: str = "none") -> Verifier:
    options = dataclasses.replace(OPTIONS, library=library)
    return cuda.open_verifier(options, cache, 1, cuda.Options(nvcc=False))


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    one = made(shared_cache)
    yield one
    one.close()


@pytest.fixture
def judge(verifier: Verifier) -> Judge:
    """``judge((old, new), ...)``: the verdict on relu.py with edits."""

    def judged(*edits: tuple[str, str]) -> Verdict:
        source = (MODULES / "relu.py").read_text()
        for old, new in edits:
            assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
            source = source.replace(old, new)
        return verifier.verify(core.load("relu"), Candidate(source, "cuda", "cuda"), "5eed")

    return judged


@pytest.mark.slow
def test_a_right_module_is_verified_and_said_to_be_emulated(judge: Judge) -> None:
    verdict = judge()
    assert verdict.verified, verdict.reason
    assert verdict.mode == "emulated" and verdict.timing is None
    assert verdict.checked["launches"] == 3
    assert verdict.checked["cases under the checked build"] >= 3


STORE = "    y[i] = static_cast<scalar_t>(v < 0.0f ? 0.0f : v);"
TRY = [
    ("module = load_inline(", "try:\n  module = load_inline("),
    ("    verbose=False,\n)", "    verbose=False,\n  )\nexcept Exception:\n  module = torch"),
]
COUNTER = [
    ("scalar_t *__restrict__ y, int64_t n", "scalar_t *__restrict__ y, int *count, int64_t n"),
    (STORE, f"{STORE}\n    count[0] += 1;"),
    ("y.data_ptr<scalar_t>(), n)", "y.data_ptr<scalar_t>(), c.data_ptr<int>(), n)"),
    ("  const int threads", "  auto c = torch::zeros({1}, x.options().dtype(torch::kInt));\n"
     "  const int threads"),
]  # fmt: skip
# name: edits, status, words of the reason
MISTAKES: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "a build error that it catches": (
        [*TRY, ("if (i < n) {", "if (i < m) {")], "compile_error", "kernel.py:14"),
    "PyTorch does the work": (
        [("return module.relu(x)", "return torch.relu(x)")], "refused", "no kernel was launched"),
    "PyTorch does the work for its host code": (
        [("  x = x.contiguous();", "  x = x.contiguous().relu();")],
        "refused", "the library does the work: aten::relu"),
    "an access behind a buffer": (
        [("if (i < n) {", "if (i <= n) {")], "runtime_error", "outside of a buffer (line 15"),
    "a check of its own fails": (
        [("  const int threads", "  TORCH_CHECK(n < 9);\n  const int threads")],
        "runtime_error", "RuntimeError"),
    "a wrong argument": (
        [("return module.relu(x)", "return module.relu(x, 1.5)")], "runtime_error", "TypeError"),
    "a race": (COUNTER, "incorrect", "data race"),
    "inline PTX": (
        [("  if (i < n) {", '  asm("");\n  if (i < n) {')], "refused", "line 14: inline PTX"),
}  # fmt: skip


def test_what_the_first_unit_does_not_declare_cannot_be_bound(judge: Judge) -> None:
    verdict = judge(('"torch::Tensor relu(torch::Tensor x);"', '""'))
    assert verdict.status == "compile_error" and "not declared" in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told(judge: Judge, name: str) -> None:
    edits, status, words = MISTAKES[name]
    verdict = judge(*edits)
    assert (verdict.status, words in verdict.reason) == (status, True), verdict.reason


@pytest.mark.slow
def test_a_module_of_published_form_has_no_kernel_but_a_model(judge: Judge) -> None:
    model = """class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module.relu(x.cuda())"""
    verdict = judge(
        ("def kernel(x: torch.Tensor) -> torch.Tensor:\n    return module.relu(x)", model)
    )
    assert verdict.verified, verdict.reason


@pytest.mark.slow
def test_two_extensions_all_kinds_of_arguments_and_operations(shared_cache: Path) -> None:
    one = made(shared_cache, "allowed")
    try:
        source = (MODULES / "two.py").read_text()
        verdict = one.verify(core.load("relu"), Candidate(source, "cuda", "cuda"), "5eed")
    finally:
        one.close()
    assert verdict.verified, (verdict.reason, verdict.log)
    assert verdict.checked["operators"] > 3 and verdict.checked["launches"] >= 4
