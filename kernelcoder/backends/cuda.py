# SPDX-License-Identifier: Apache-2.0
"""CUDA: one ``.cu`` file, on an NVIDIA GPU where there is one with nvcc, else emulated.

Emulated kernels are right or wrong and have no times; where nvcc is installed, what is right has to
compile with it, too. ``KERNELCODER_CUDA_MODE`` (native, emulated) chooses on a machine with a GPU.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.backends import Availability
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "cuda"
# An emulated kernel takes hundreds of times as long as one on the hardware it is for.
PATIENCE = 5

_RULES = """\
Write one CUDA C++17 file (.cu) that defines

{signature}

Inputs come first, then the output{plural}, then scalars, then the stream to launch on. All pointers
are device pointers: host code cannot read or write them. Do the work in `__global__` functions that
you launch with `<<<grid, block, shared_bytes, stream>>>`. It has to compile with
`nvcc -std=c++17 --expt-relaxed-constexpr` for sm_80 and sm_90.

- Layouts: {layouts}.
  Outputs are contiguous, preallocated and full of garbage: write every element, read none.
  Tensors have no alignment beyond their element's: check the address before a `float4` access.
- Element types T: float32, float16 (`__half`), bfloat16 (`__nv_bfloat16`); the same for all tensors
  of a call. Compute in float: `float v = float(p[i])`, and store with `T(v)`.
- Any size occurs: 0 (launch nothing), 1, primes, sizes that are no multiple of a block. A grid has
  at most 2^31-1 blocks in x, 65535 in y and z; a block has at most 1024 threads and 48 KiB of
  shared memory (227 KiB dynamic after `cudaFuncSetAttribute`).
- NaN and infinity in the inputs go where the formula takes them (`fmaxf` drops a NaN).
- Every thread of a block reaches every `__syncthreads()`; every lane that a mask names reaches the
  warp function. Races, accesses outside of a buffer and reads of what nobody wrote fail the kernel
  even if the result is right.
- `KC_REQUIRE_CONTIGUOUS` alone at file scope makes strided or unaligned inputs arrive as
  contiguous, 64-byte aligned copies.
- Available: the C++ standard headers on the host, warp and atomic functions, cooperative groups
  within a block, <mma.h>. Not available: inline PTX, textures, grid-wide synchronization, clusters,
  cp.async, CUB, Thrust, CUTLASS, cuBLAS, cuDNN. Temporaries: cudaMallocAsync on the stream.
- Keep no state between calls. No files, threads, system calls, static constructors.
- Instead of a .cu file you may write a Python module that builds its CUDA with
  `torch.utils.cpp_extension.load_inline` and defines `kernel`: it takes the inputs and scalars as
  PyTorch CUDA tensors and numbers and returns the output{plural} as new tensor{plural}. PyTorch may
  allocate and reshape; the arithmetic is done in your `__global__` functions.

`#include <kernelcoder_cuda.h>` gives <cuda_runtime.h>, <cuda_fp16.h>, <cuda_bf16.h> and
```cuda
{helpers}
```"""

HELPERS = """\
struct DLTensor { void *data; DLDevice device; int32_t ndim; DLDataType dtype;
                  int64_t *shape, *strides;  // strides in elements; host memory
                  uint64_t byte_offset; };
namespace kc {  // host
template <class F> void dispatch(DLDataType t, F &&f);  // f(zero): float, __half, __nv_bfloat16
template <class T> T *data(const DLTensor *t);          // first element, on the device
int64_t numel(const DLTensor *t), cols(const DLTensor *t) /* last dim */, rows(const DLTensor *t);
bool contiguous(const DLTensor *t);                     // row-major without gaps
struct Strided;  Strided strided(const DLTensor *t);    // pass it to a kernel by value
// host and device
int64_t ceil_div(int64_t a, int64_t b);
// s.rows, s.cols, s.col (stride of the last dim), s.row(r) and s.offset(i): element offsets of row
// r and of the i-th element in row-major order
}
// kc::dispatch(x->dtype, [&](auto zero) {
//   using T = decltype(zero);
//   k<T><<<kc::ceil_div(n, 256), 256, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), n); });"""


@dataclass(frozen=True, slots=True)
class Options:
    """Filled from ``BACKEND_CUDA_*``. ``nvcc``: where it is installed, what the emulator finds
    right has to compile with it."""

    nvcc: bool = True


def probe() -> Availability:
    """Native where there is a GPU, its driver and nvcc; else emulated where C++ kernels can be
    compiled. No CUDA is started: files are looked at and ``nvidia-smi`` is asked."""
    from kernelcoder.backends import modes
    from kernelcoder.verify import sandbox

    if reason := sandbox.supported():
        return Availability(None, reason)
    return modes.choose("cuda", native(), "emulated", "right or wrong, no times")


def native() -> Availability:
    """Whether kernels can run on a GPU here, and on which, or why not."""
    from kernelcoder.backends.gpu import devices

    found = devices.device()
    if found.device is None:
        return Availability(None, found.reason)
    if (toolkit := devices.toolkit()) is None:
        return Availability(None, f"{found.reason}, but no nvcc with CUDA's runtime library")
    if not devices.reaches(toolkit, found.device):
        text = f"nvcc {toolkit.version} makes no code for {found.device.arch}"
        return Availability(None, f"{found.reason}, but {text}")
    return Availability("native", f"{found.reason}, nvcc {toolkit.version}")


def signature(task: Task) -> str:
    """The exact CUDA declaration of ``kernel`` for a task."""
    args = [f"const DLTensor *{arg.name}" for arg in task.inputs]
    args += [f"DLTensor *{arg.name}" for arg in task.outputs]
    args += [f"double {name}" for name in task.scalars]
    return f'extern "C" void kernel({", ".join(args)}, cudaStream_t stream)'


def contract(task: Task) -> str:
    """The prompt section on the form of a candidate for this task."""
    from kernelcoder.backends import cpu

    shapes = "; ".join(
        f"{arg.name}[{', '.join(arg.dims)}]" for arg in (*task.inputs, *task.outputs)
    )
    return _RULES.format(
        signature=f"```cuda\n{signature(task)};  // {shapes}\n```",
        plural="s" if len(task.outputs) > 1 else "",
        layouts="inputs may be " + ", ".join(cpu.LAYOUTS.values()),
        helpers=HELPERS,
    )


def open_verifier(
    options: VerifyOptions, cache: Path, workers: int, own: Options | None = None
) -> Verifier:
    """The verifier with a pool of ``workers`` slots. Raises :class:`CannotRun`."""
    own = own or Options()
    available = probe()
    if available.mode is None:
        raise CannotRun(available.reason, where="backend cuda")
    if available.mode == "native":
        return _on_device(options, cache, workers)
    from kernelcoder.backends.cuda_forms import EitherBuilder
    from kernelcoder.verify.service import KernelVerifier

    seconds = options.timeout_seconds * PATIENCE
    slower = dataclasses.replace(options, timing=False, timeout_seconds=seconds)
    builder = EitherBuilder(slower, cache, own.nvcc)
    return KernelVerifier(slower, cache, workers, builder=builder)


def _on_device(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """Kernels have the device, and one thread of the host."""
    from kernelcoder.backends.gpu import devices, roofs
    from kernelcoder.backends.gpu.compiler import supported
    from kernelcoder.backends.gpu.cuda_native import NativeCudaBuilder
    from kernelcoder.verify.service import KernelVerifier

    device, toolkit = devices.device().device, devices.toolkit()
    assert device is not None and toolkit is not None
    if reason := supported(toolkit):
        raise CannotRun(reason, where="backend cuda")
    alone = dataclasses.replace(options, threads=1)
    builder = NativeCudaBuilder(alone, cache, device, toolkit)
    return KernelVerifier(
        alone, cache, workers, builder, lambda: roofs.ground(alone, cache, builder, builder)
    )
