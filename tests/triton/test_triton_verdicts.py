# SPDX-License-Identifier: Apache-2.0
"""Triton candidates through the real verifier: right ones, planted mistakes, and cheats."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from triton_kernels import HEAD, MATMUL, MUTANTS, RELU, SOFTMAX, edit

from benchmarks import core
from kernelcoder.backends import triton as backend
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

pytestmark = pytest.mark.skipif(backend.probe().mode is None, reason=backend.probe().reason)
OPTIONS = VerifyOptions(False, 10, 60, 2048, 1, "eager", False, 4)
CACHES = ("triton-ir", "triton-interpreter")


def opened(
    factory: pytest.TempPathFactory, interpreter: bool, ahead: bool = True
) -> Iterator[Verifier]:
    folder = factory.getbasetemp() / CACHES[interpreter]
    made = backend.open_verifier(OPTIONS, folder, 1, backend.Options(interpreter, ahead))
    yield made
    made.close()


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    yield from opened(tmp_path_factory, interpreter=False)


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    yield from opened(tmp_path_factory, interpreter=True)


def small(name: str) -> Task:
    """The task with its first hidden cases only."""
    task = core.load(name)
    return dataclasses.replace(
        task, holdout=lambda rng: task.holdout(rng)[:6], timing=(), properties=(), digest=""
    )


def judge(verifier: Verifier, source: str, task: str = "relu") -> Verdict:
    return verifier.verify(small(task), Candidate(source, "python", "triton"), "5eed")


def test_right_and_what_it_needs_of_a_device(lowered: Verifier) -> None:
    verdict = judge(lowered, RELU)
    assert verdict.verified and verdict.mode == "interpreted", verdict.reason
    assert verdict.timing is None and verdict.checked["launches"] >= 3
    assert verdict.checked["kernels compiled"] >= 2, "one for each dtype"
    assert any("relu_kernel for sm_90: " in line for line in verdict.evidence)
    assert any("relu_kernel for gfx942: " in line for line in verdict.evidence)


QUICK = ("no store mask", "reads a neighbor's block")


@pytest.mark.parametrize("name", QUICK)
def test_mistakes_come_with_place_and_line(lowered: Verifier, name: str) -> None:
    task, source, said = MUTANTS[name]
    verdict = judge(lowered, source, task)
    assert not verdict.verified and said in verdict.reason, verdict.reason
    assert "line 11, kernel relu_kernel, argument y_ptr" in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_mistakes_by_the_interpreter(interpreted: Verifier, name: str) -> None:
    task, source, said = MUTANTS[name]
    verdict = judge(interpreted, source, task)
    assert not verdict.verified and said in verdict.reason, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in QUICK])
def test_mistakes_by_the_lowered_kernels(lowered: Verifier, name: str) -> None:
    task, source, said = MUTANTS[name]
    verdict = judge(lowered, source, task)
    assert not verdict.verified and said in verdict.reason, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(("task", "source"), [("softmax", SOFTMAX), ("matmul", MATMUL)])
def test_both_executors_find_right_kernels_right(
    lowered: Verifier, interpreted: Verifier, task: str, source: str
) -> None:
    for verifier in (lowered, interpreted):
        verdict = judge(verifier, source, task)
        assert verdict.verified, verdict.reason


WHERE = "tl.where(x < 0, 0.0, x)"


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        (edit(RELU, (WHERE, "tl.relu(x)")), "compile_error", "has no attribute 'relu'"),
        (edit(RELU, (WHERE, "tl.where(x < zero, 0.0, x)")), "compile_error", "kernel.py:11: "),
        (edit(RELU, ("BLOCK=1024", "BLOCK=1000")), "compile_error", "must be a power of 2"),
        (HEAD + "def kernel(x):\n    return torch.relu(x)\n", "refused", "no kernel was launched"),
        (edit(RELU, ("return y\n", "return torch.relu(x)\n")), "refused", "aten::relu"),
        (edit(RELU, ("return y\n", "return y.reshape(-1)\n")), "incorrect", "wanted 7,33"),
        (edit(RELU, ("return y\n", "return y.double()\n")), "incorrect", "returned 64, wanted 32"),
        (edit(RELU, ("return y\n", "pass\n")), "incorrect", "another number of tensors"),
        (edit(RELU, ("x.numel()", "x.numel() // 0")), "runtime_error", "ZeroDivisionError in line"),
        (edit(RELU, ("return y\n", "y.numpy()\n")), "runtime_error", "TypeError in line 20"),
        ("import torch\ndef kernel(x:\n", "compile_error", "kernel.py:2: error"),
    ],
)
def test_what_is_no_kernel(lowered: Verifier, source: str, status: str, said: str) -> None:
    verdict = judge(lowered, source)
    assert (verdict.status, said in verdict.reason) == (status, True), verdict.reason


def test_compiler_errors_come_with_the_line_and_the_text(lowered: Verifier) -> None:
    verdict = judge(lowered, edit(RELU, (WHERE, "tl.relu(x)")))
    assert verdict.stage == "generated" and "kernel.py:11: error" in verdict.reason
    assert "tl.relu(x)" in verdict.log and "^" in verdict.log


OUTSIDE = """    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        return torch.relu(x.float()).to(x.dtype)
"""


@pytest.mark.slow
def test_work_hidden_from_the_census_is_seen_from_outside(lowered: Verifier) -> None:
    few = ("(triton.cdiv(n, 1024),)", "(1,)")
    source = edit(RELU, ("    return y\n", OUTSIDE), few)
    verdict = lowered.verify(core.load("relu"), Candidate(source, "python", "triton"), "5eed")
    assert verdict.status == "refused" and "samples from outside" in verdict.reason, verdict.reason


def test_host_code_may_ask_for_the_gpu(lowered: Verifier) -> None:
    asks = """torch.empty(x.shape, dtype=x.dtype, device="cuda")
    assert x.is_cuda and x.device.type == "cuda" and y.device == x.device
    torch.cuda.synchronize()
    assert torch.cuda.get_device_capability() == (9, 0)"""
    verdict = judge(lowered, edit(RELU, ("torch.empty_like(x)", asks)))
    assert verdict.verified, verdict.reason


def test_a_kernel_that_leaves_its_output_unwritten_shows(lowered: Verifier) -> None:
    verdict = judge(lowered, edit(RELU, ("mask=inside)\n\n", "mask=at < n - 1)\n\n")))
    assert verdict.status == "incorrect" and "cases are wrong" in verdict.reason, verdict.reason


@pytest.mark.slow
def test_autotune_is_not_measured(lowered: Verifier) -> None:
    tuned = """@triton.autotune(
    [triton.Config({"BLOCK": b}, num_warps=4) for b in (128, 1024)], key=["n"]
)
@triton.jit
"""
    source = edit(
        RELU,
        ("@triton.jit\n", tuned),
        (", BLOCK=1024)", ")"),
        ("(triton.cdiv(n, 1024),)", 'lambda given: (triton.cdiv(n, given["BLOCK"]),)'),
    )
    verdict = judge(lowered, source)
    assert verdict.verified, verdict.reason
    assert verdict.checked["launches"] <= verdict.checked["calls"]


@pytest.mark.slow
def test_what_cannot_be_lowered_is_interpreted(lowered: Verifier) -> None:
    scalar = "@triton.jit(noinline=True)\ndef same(n):\n    return n + 0\n\n\n@triton.jit\n"
    source = edit(RELU, ("@triton.jit\n", scalar), ("inside = at < n", "inside = at < same(n)"))
    verdict = judge(lowered, source)
    assert verdict.verified, verdict.reason
    assert any(line.startswith("run by the interpreter: ") for line in verdict.evidence)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "source"), [("relu", RELU), ("softmax", SOFTMAX)])
def test_whole_sheets(lowered: Verifier, task: str, source: str) -> None:
    verdict = lowered.verify(core.load(task), Candidate(source, "python", "triton"), "5eed")
    assert verdict.verified and verdict.checked["cases"] > 40, verdict.reason


def test_a_prompt_names_the_signature_and_the_traps() -> None:
    text = backend.contract(core.load("layernorm"))
    assert "def kernel(x, weight, bias, eps)" in text and "{" not in text.split("```")[0]
    assert 'input_precision="ieee"' in text and "sm_90" in text


def test_other_versions_are_named() -> None:
    assert backend.available("3.7.1", "0.6.0").mode == "interpreted"
    assert "make triton" in backend.available("", "").reason
    assert "3.6.0" in backend.available("3.6.0", "0.6.0").reason
    assert "ml-dtypes" in backend.available("3.7.1", "").reason
