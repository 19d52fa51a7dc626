# SPDX-License-Identifier: Apache-2.0
"""Triton: Python files with kernels for GPUs, run on one where there is PyTorch with CUDA; else
without, and compiled for two.

Without a GPU nothing is timed: the mode is "interpreted", and the verdict's evidence says what the
kernels would need on the devices they were compiled for. ``KERNELCODER_TRITON_MODE`` (native,
interpreted) chooses on a machine with a GPU.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.backends import Availability, modes
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "python"
DIALECT = "triton"
VERSION = "3.7.1"
# An interpreted kernel takes hundreds of times as long as one on the hardware it is for.
PATIENCE, PATIENCE_INTERPRETED = 4, 20

_RULES = """\
Write one Python file with Triton {version} kernels that defines

{signature}

Inputs come first, then scalars (float). `kernel` returns the output{plural}, {outputs},
as new contiguous torch tensor{plural} of the inputs' dtype and device. All tensors are on one GPU
("cuda"), dtype float32, float16 or bfloat16, the same for all tensors of a call.

```python
import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(x_ptr, y_ptr, by, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y_ptr + at, (x * by).to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x, by):
    x = x.contiguous()
    y = torch.empty_like(x)
    n = x.numel()
    if n:
        scale_kernel[(triton.cdiv(n, 1024),)](x, y, by, n, BLOCK=1024)
    return y
```

- Layouts: {layouts}. Inputs are read-only; `.contiguous()` makes a copy.
- Any size occurs: 0 (launch nothing), 1, primes, one long row, thousands of short ones. Mask every
  load and store. NaN and infinity in the inputs go where the formula takes them: `tl.maximum(x, 0)`
  turns NaN into 0, `tl.where(x < 0, 0, x)` keeps it.
- The work is done in `@triton.jit` functions. PyTorch may allocate, view, copy and convert.
- Compute in float32: convert what was loaded, and the result back. `tl.dot` on float32 rounds its
  operands to ten bits of mantissa unless it is given `input_precision="ieee"`.
- An access outside of a tensor, a race between programs, and lanes of one store that write
  different values to one place fail the kernel even if the result is right.
- It must compile for sm_90 (H100: 232448 bytes of shared memory per block). Block sizes are powers
  of two. Give `num_warps` and `num_stages` yourself rather than autotune over many.
- Keep no state between calls. No threads, processes, files, network, `torch.compile`."""


@dataclass(frozen=True, slots=True)
class Options:
    """Filled from ``BACKEND_TRITON_*``. ``interpreter``: interpret every kernel; ``ahead``: a
    kernel has to compile for sm_90."""

    interpreter: bool = False
    ahead: bool = True


def probe() -> Availability:
    """Native where there is a GPU with PyTorch and nvcc for it; else interpreted, where C++ kernels
    are and Triton is installed. Nothing heavy is imported."""
    from kernelcoder.verify import sandbox

    if reason := sandbox.supported():
        return Availability(None, reason)
    if importlib.util.find_spec("torch") is None:
        return Availability(None, "the torch package is not installed")
    found = available(*(_installed(name) for name in ("triton", "ml-dtypes")))
    if found.mode is None:
        return found
    return modes.choose("triton", _native(found.reason), "interpreted", "right or wrong, no times")


def _native(version: str) -> Availability:
    """Whether kernels can run on a GPU here, and on which, or why not."""
    from kernelcoder.backends import cuda

    device = cuda.native()
    if device.mode is None:
        return Availability(None, f"{version}, {device.reason}")
    spec = importlib.util.find_spec("torch")
    places = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    if not any((place / "lib" / "libtorch_cuda.so").exists() for place in places):
        return Availability(None, f"{version}, {device.reason}, but PyTorch was built without CUDA")
    return Availability("native", f"{version}, {device.reason}")


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def available(found: str, types: str) -> Availability:
    """What can be done with these versions of Triton and ml-dtypes; "" is none."""
    if not found or not types:
        lacking = "ml-dtypes" if found else "triton"
        return Availability(None, f"the {lacking} package is not installed: run `make triton`")
    if found != VERSION:
        needs = f"Triton {found} is installed, and this was written for {VERSION}"
        return Availability(None, f"{needs}: run `make triton`")
    return Availability("interpreted", f"Triton {found}")


def signature(task: Task) -> str:
    """The exact Python declaration of ``kernel`` for a task."""
    names = [arg.name for arg in task.inputs]
    return f"def kernel({', '.join([*names, *task.scalars])}): ..."


def contract(task: Task) -> str:
    """The prompt section on the form of a candidate for this task."""
    from kernelcoder.backends import cpu

    inputs = "; ".join(f"{arg.name}[{', '.join(arg.dims)}]" for arg in task.inputs)
    return _RULES.format(
        version=VERSION,
        signature=f"```python\n{signature(task)}  # {inputs}\n```",
        plural="s" if len(task.outputs) > 1 else "",
        outputs=", ".join(f"{arg.name}[{', '.join(arg.dims)}]" for arg in task.outputs),
        layouts="inputs may be " + ", ".join(cpu.LAYOUTS.values()),
    )


def open_verifier(
    options: VerifyOptions, cache: Path, workers: int, own: Options | None = None
) -> Verifier:
    """The verifier with a pool of ``workers`` zygotes. Raises :class:`CannotRun`."""
    own = own or Options()
    available = probe()
    if available.mode is None:
        raise CannotRun(available.reason, where="backend triton")
    if available.mode == "native":
        return _on_device(options, cache, workers)
    from kernelcoder.backends.triton_builder import TritonBuilder
    from kernelcoder.verify.service import KernelVerifier

    patience = PATIENCE_INTERPRETED if own.interpreter else PATIENCE
    seconds = options.timeout_seconds * patience
    slower = dataclasses.replace(options, timing=False, timeout_seconds=seconds)
    builder = TritonBuilder(options, cache, own.interpreter, own.ahead)
    return KernelVerifier(slower, cache, workers, builder=builder)


def _on_device(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """Kernels have the device, and one thread of the host."""
    from kernelcoder.backends.gpu import devices, roofs
    from kernelcoder.backends.gpu.cuda_native import NativeCudaBuilder
    from kernelcoder.backends.gpu.triton_native import NativeTritonBuilder
    from kernelcoder.verify.service import KernelVerifier

    device, toolkit = devices.device().device, devices.toolkit()
    assert device is not None and toolkit is not None
    alone = dataclasses.replace(options, threads=1)
    builder = NativeTritonBuilder(alone, cache, device)
    measures = NativeCudaBuilder(alone, cache, device, toolkit)
    return KernelVerifier(
        alone, cache, workers, builder, lambda: roofs.ground(alone, cache, builder, measures)
    )
