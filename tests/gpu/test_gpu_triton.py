# SPDX-License-Identifier: Apache-2.0
"""The native Triton path without a GPU: on the processor as a device, and its parts: machine code
for a device that is absent, parameters of a launch."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conformance.gpu_mistakes import few
from gpu import standin

from benchmarks import core
from kernelcoder.backends import triton
from kernelcoder.backends.gpu import baseline_worker
from kernelcoder.backends.gpu.contest import GpuContest
from kernelcoder.backends.gpu.cubins import Cubins, heads
from kernelcoder.backends.gpu.roofs import DeviceFloor
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.deaths import HarnessFailed, explain
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.roofline import Roofs
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.slots import Died, Limits
from kernelcoder.verify.timing import Ground
from kernelcoder.verify.wants import Want

if triton.probe().mode is None:
    pytest.skip(f"triton cannot run here: {triton.probe().reason}", allow_module_level=True)
OPTIONS = VerifyOptions(True, 40, 60, 2048, 1, "eager", False, 2)
SOLUTION = core.load("relu").solutions["triton"]


@pytest.fixture(scope="module")
def task() -> Task:
    """A relu of a few contiguous cases."""
    found = few(core.load("relu"))
    small = tuple(
        dataclasses.replace(case, shapes=dict.fromkeys(case.shapes, (64, 64)))
        for case in found.timing[:2]
    )
    return dataclasses.replace(found, timing=small, digest="gpu-triton")


@pytest.fixture(scope="module")
def verifier(
    shared_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelVerifier]:
    folder = tmp_path_factory.mktemp("gpu")
    builder = standin.triton_builder(OPTIONS, shared_cache, folder)
    builder.variables[baseline_worker.WHERE] = "cpu"
    roofs = Roofs(folder / "r.json", "x", lambda *_: 1e15)

    def ground() -> Ground:
        contest = GpuContest(OPTIONS, shared_cache, builder)
        return Ground(contest, DeviceFloor(roofs, 1), {"hot": 4, "cold": 2})

    made = KernelVerifier(OPTIONS, shared_cache, 1, builder, ground)
    yield made
    made.close()


def judged(verifier: KernelVerifier, task: Task, source: str, timing: bool = False) -> Verdict:
    verifier.twins.clear()
    return verifier.verify(task, Candidate(source, "python", "triton"), "5eed", timing=timing)


@pytest.mark.slow
@pytest.mark.measures
def test_a_right_kernel_is_verified_and_measured(verifier: KernelVerifier, task: Task) -> None:
    verdict = judged(verifier, task, SOLUTION, timing=True)
    assert (verdict.status, verdict.stage, verdict.mode) == ("verified", "measured", "native"), (
        verdict.reason
    )
    assert verdict.checked["launches"] > 0 and verdict.checked["cases run on the processor"] > 0
    assert verdict.timing and set(verdict.timing.speedup) == {"eager"}
    assert verdict.versions["compiled for"] == "the processor"


BODIES = {
    "an error of the device": (
        "    y = real(x)\n    fault('cudaErrorIllegalAddress')\n    return y",
        "runtime_error",
        "cudaErrorIllegalAddress",
    ),
    "an input": ("    y = real(x)\n    x.zero_()\n    return y", "runtime_error", "an input"),
    "around an input": (
        "    y = real(x)\n    if x.numel() and x.storage_offset() > 99:\n"
        "        x.as_strided((1,), (1,), x.storage_offset() - 1).zero_()\n    return y",
        "runtime_error",
        "outside of a buffer",
    ),
    "another shape": ("    return real(x)[..., :0]", "incorrect", "another shape"),
    "nothing": ("    return None", "incorrect", "another number of tensors"),
    "no launch": ("    return torch.relu(x)", "refused", "no kernel was launched"),
    "the library": (
        "    real(x)\n    return torch.relu(x)", "refused", "the library does the work: aten::relu",
    ),
    "unwritten": (
        "    y = real(x)\n    return torch.empty_like(y) if y.numel() > 9 else y",
        "incorrect",
        "",
    ),
    "an exception": ("    raise KeyError('secret')", "runtime_error", "KeyError in line"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_what_a_device_does_not_say_is_found(
    verifier: KernelVerifier, task: Task, name: str
) -> None:
    body, status, words = BODIES[name]
    source = SOLUTION.replace("def kernel(", "def real(", 1) + f"\n\ndef kernel(x):\n{body}\n"
    verdict = judged(verifier, task, source)
    assert verdict.status == status and words in verdict.reason


@pytest.mark.slow
def test_a_device_that_does_not_open_costs_no_candidate(
    shared_cache: Path, tmp_path: Path, task: Task
) -> None:
    builder = standin.triton_builder(OPTIONS, shared_cache, tmp_path)
    builder.variables["STANDIN_ABSENT"] = "1"
    built = builder.build(SOLUTION)
    assert built.path
    with (
        Regions([Call((torch.zeros(4),), (((4,), "f32"),))]) as regions,
        builder.timing_slot() as slot,
    ):
        child = slot.start(built.path, regions, Limits())
        with pytest.raises(Died) as died:
            child.loaded(30)
    with pytest.raises(HarnessFailed, match="the stand-in is absent"):
        explain(died.value.exit, task, False)


KERNEL = """
import triton
import triton.language as tl


@triton.jit
def twice(x_ptr, y_ptr, n, by, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    tl.store(y_ptr + at, x * by, mask=at < n)


def kernel(x):
    return x
"""


def _launch(**more: Any) -> str:
    tensor = {"tensor": "float32", "aligned": True}
    arguments = {"x_ptr": tensor, "y_ptr": tensor, "n": {"value": 1000}, "by": {"float": "0x1p1"}}
    found = {"kernel": "twice", "arguments": arguments, "constants": ["BLOCK"], "options": more}
    arguments["BLOCK"] = {"value": 256}
    return json.dumps(found)


def test_machine_code_for_an_absent_device(tmp_path: Path) -> None:
    code = Cubins(tmp_path, (9, 0), 60)
    wanted = Want("cubin", "c_" + "a" * 32, _launch(num_warps=2))
    try:
        assert code.add(KERNEL, [wanted]) == ""
        assert code.add(KERNEL, [wanted]) is None
        broken = KERNEL.replace("x * by", "x @ by")
        problem = code.add(broken, [wanted])
    finally:
        code.close()
    assert problem and problem.startswith("kernel.py:10: error")
    line = code.tail(KERNEL)
    assert line.startswith("\n#machine code ") and "\n" not in line[1:]
    entry, shared, threads, parameters, text = json.loads(line[15:])[wanted.name]
    assert (entry, shared, threads) == ("twice", 0, 64)
    assert parameters == 6  # two tensors, two numbers, two pointers to scratch memory
    assert len(text) > 1000 and code.tail(KERNEL + "\n") == ""


def test_only_what_was_asked_for_is_read_of_a_compiling_childs_text() -> None:
    said = 'aot: 3 {"launch":0,"target":"sm_90"}\nabc\naot: 0 {"launch":0,"target":"sm_90"}\n\n'
    said += 'aot: 1 {"launch":1,"target":"sm_80"}\nx\naot: 9 {"launch":\n'
    assert heads(said, "sm_90") == {0: ({"launch": 0, "target": "sm_90"}, "abc")}


class _Driver:
    """Records what CUDA's driver would be called with."""

    def __init__(self) -> None:
        self.launched: list[tuple[Any, ...]] = []
        self.fails = 0

    def cuModuleLoadData(self, module: Any, code: bytes) -> int:  # noqa: N802  # CUDA's names
        return 0

    def cuModuleGetFunction(self, function: Any, module: Any, entry: bytes) -> int:  # noqa: N802
        return 0

    def cuFuncSetAttribute(self, function: Any, which: int, value: int) -> int:  # noqa: N802
        self.launched.append(("shared", which, value))
        return 0

    def cuGetErrorName(self, error: int, text: Any) -> int:  # noqa: N802
        text._obj.value = b"CUDA_ERROR_ILLEGAL_ADDRESS"
        return 0

    def cuCtxSynchronize(self) -> int:  # noqa: N802
        return self.fails

    def cuLaunchKernel(self, function: Any, *given: Any) -> int:  # noqa: N802
        sizes, parameters = given[:7], given[8]
        kinds = (ctypes.c_uint64, ctypes.c_int32, ctypes.c_float, ctypes.c_uint16, ctypes.c_uint64)
        values = [kind.from_address(at).value for kind, at in zip(kinds, parameters, strict=False)]
        self.launched.append((sizes, values))
        return self.fails


def test_parameters_reach_the_driver_as_the_kernel_takes_them() -> None:
    from kernelcoder.backends.triton_child import cuda_launch

    driver, x = _Driver(), torch.zeros(4)
    launcher = cuda_launch.Launcher(driver)
    kernel = cuda_launch.Kernel("k", 60000, 128, 6, b"code")
    function = launcher.function("k", kernel)
    assert launcher.function("k", kernel) is function
    kinds, values = ("*fp32", "i32", "fp32", "bf16"), (x, -7, 0.5, 1.00390625)
    launcher.launch(function, kernel, (3, 2), kinds, values, 0)
    shared, (sizes, seen) = driver.launched
    assert shared == ("shared", 8, 60000)
    assert sizes == (3, 2, 1, 128, 1, 1, 60000)
    assert seen == [x.data_ptr(), -7, 0.5, 0x3F80, 0]
    with pytest.raises(ValueError, match="takes 6 parameters"):
        launcher.launch(function, kernel, (1,), kinds[:2], values[:2], 0)
    with pytest.raises(ValueError, match="tensordesc"):
        cuda_launch.parameter("tensordesc<fp16[64]>", x)
    assert launcher.wait() == ""
    driver.fails = 700
    assert launcher.wait() == "cudaErrorIllegalAddress"
    with pytest.raises(cuda_launch.Failed, match="IllegalAddress"):
        launcher.launch(function, kernel, (1,), kinds, values, 0)


@pytest.mark.parametrize("value", [1.0, -2.5, 3.0e38, 1e-40, float("inf"), 0.1, 1.0039062])
def test_narrow_numbers_are_rounded_as_pytorch_rounds(value: float) -> None:
    from kernelcoder.backends.triton_child import cuda_launch

    got = cuda_launch.parameter("bf16", value).value
    wanted = torch.tensor(value).to(torch.bfloat16).view(torch.int16).item() & 0xFFFF
    assert got == wanted
    if abs(value) < 65504:
        (half,) = struct.unpack("<e", struct.pack("<H", cuda_launch.parameter("fp16", value).value))
        assert half == torch.tensor(value).half().item()
