# SPDX-License-Identifier: Apache-2.0
"""CPU: C++20 kernels, compiled with fixed flags, run in a sandboxed process, timed by CPU time."""

from __future__ import annotations

from pathlib import Path

from kernelcoder.backends import Availability
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "cpp"

_RULES = """\
Write one C++20 file that defines

{signature}

Inputs come first, then the output{plural}, then scalars. It is compiled with
`g++ {flags}` (no other flags, no -ffast-math; pragmas are allowed).

- Layouts: {layouts}.
  Outputs are contiguous, preallocated and full of garbage: write every element, read none.
  Tensors have no alignment beyond their element's, and may end right before an unmapped page:
  never touch memory outside of a tensor.
- Element types T: float32, float16, bfloat16; the same for all tensors of a call. Do the math and
  accumulate in float: `float v = float(p[i])`, and store with `T(v)`.
- Any size occurs: 0, 1, primes, sizes that are no multiple of a vector or a block.
- NaN and infinity in the inputs go where the formula takes them.
- `KC_REQUIRE_CONTIGUOUS` alone at file scope makes strided or unaligned inputs arrive as
  contiguous, 64-byte aligned copies; the copying counts as time of the kernel.
- What is timed is CPU time, summed over all threads, on contiguous float32 of two sizes: one stays
  in the cache, one is larger than it. 16-bit types and other layouts count for correctness only.
- Threads only help if `omp_get_max_threads()` > 1 (it is 1 by default), and CPU time adds them up.
  Where it is 1 no thread can be created: std::thread throws, and an OpenMP region runs with one
  thread as long as it has no larger num_threads.
- Keep no state between calls. No system calls, files, assembly, static constructors.

`#include <kernelcoder.h>` (include it first) gives the standard headers, <immintrin.h>, <omp.h> and
```cpp
{helpers}
```"""

HELPERS = """\
struct DLTensor { void *data; DLDevice device; int32_t ndim; DLDataType dtype;
                  int64_t *shape, *strides;  // strides in elements, never null
                  uint64_t byte_offset; };
namespace kc {
using half = _Float16;  struct bf16;              // to float by themselves, back with T(v)
template <class F> void dispatch(DLDataType t, F &&f);  // f(zero) with a float, half or bf16
template <class T> T *data(const DLTensor *t);    // first element
int64_t numel(const DLTensor *t), cols(const DLTensor *t) /* last dim */, rows(const DLTensor *t);
bool contiguous(const DLTensor *t);               // row-major without gaps
int64_t row_offset(const DLTensor *t, int64_t row), col_stride(const DLTensor *t);  // in elements
template <class T> void load(const T *p, int64_t stride, int64_t n, float *out);
template <class T> void store(const float *in, int64_t n, T *p);
}
// kc::dispatch(x->dtype, [&](auto zero) {
//   using T = decltype(zero);  const T *p = kc::data<T>(x);  ... });"""

LAYOUTS = {
    "contiguous": "contiguous",
    "strided": "strided (gaps between elements and rows)",
    "transposed": "transposed (the last dimension is not the densest)",
    "offset": "shifted to an odd element of a buffer",
}


def probe() -> Availability:
    """Native on Linux with g++; nothing heavier than a look at the PATH."""
    from kernelcoder.verify import sandbox

    if reason := sandbox.supported():
        return Availability(None, reason)
    return Availability("native", f"g++ found ({sandbox.compiler()})")


def signature(task: Task) -> str:
    """The exact C++ declaration of ``kernel`` for a task."""
    args = [f"const DLTensor *{arg.name}" for arg in task.inputs]
    args += [f"DLTensor *{arg.name}" for arg in task.outputs]
    args += [f"double {name}" for name in task.scalars]
    return f'extern "C" void kernel({", ".join(args)})'


def contract(task: Task) -> str:
    """The prompt section on the form of a candidate for this task."""
    from kernelcoder.verify.compile import FLAGS

    shapes = "; ".join(
        f"{arg.name}[{', '.join(arg.dims)}]" for arg in (*task.inputs, *task.outputs)
    )
    return _RULES.format(
        signature=f"```cpp\n{signature(task)};  // {shapes}\n```",
        plural="s" if len(task.outputs) > 1 else "",
        flags=" ".join(FLAGS),
        layouts="inputs may be " + ", ".join(LAYOUTS.values()),
        helpers=HELPERS,
    )


def open_verifier(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """The verifier with a pool of ``workers`` slots. Raises :class:`CannotRun`."""
    available = probe()
    if available.mode is None:
        raise CannotRun(available.reason, where="backend cpu")
    from kernelcoder.verify.service import KernelVerifier

    return KernelVerifier(options, cache, workers)
