# SPDX-License-Identifier: Apache-2.0
"""What candidates for GPUs are made of where they are emulated: a relu in CUDA, Metal and Triton,
right by default, with room for mischief."""

from __future__ import annotations

import textwrap

from benchmarks import core
from kernelcoder.redteam.entry import Honest, Hostile, among

WRONG = among("incorrect", "runtime_error", "crashed", "refused")
UNBUILT = among("compile_error", "refused")
BROKEN = among("incorrect", "runtime_error", "crashed", "refused", "cheating", "compile_error")
REFUSED = among("refused")
DEFECT = among("incorrect", "runtime_error")
_SHORT = {"cuda": "cu", "metal": "mtl", "triton": "tri"}

_CUDA = """#include <kernelcoder_cuda.h>
%(before)s
template <class T>
__global__ void relu(const T *x, T *y, kc::Strided in, int64_t n) {
  for (int64_t i = blockIdx.x * int64_t(blockDim.x) + threadIdx.x; i < n;
       i += int64_t(gridDim.x) * blockDim.x) {
    const float v = float(x[in.offset(i)]);
    %(device)s
    y[i] = T(%(value)s);
  }
}
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(y);
  if (n == 0) return;
  const int64_t blocks = kc::ceil_div(n, 256) < 1024 ? kc::ceil_div(n, 256) : 1024;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    %(first)s
    relu<T><<<blocks, 256, %(shared)s, stream>>>(
        kc::data<T>(x), kc::data<T>(y), kc::strided(x), n);
    %(last)s
  });
}
"""
ON_HOST = """
    const kc::Strided in = kc::strided(x);
    for (int64_t i = 0; i < n; ++i) {
      const float v = float(kc::data<T>(x)[in.offset(i)]);
      kc::data<T>(y)[i] = T(v < 0.0f ? 0.0f : v);
    }
    if (n > 0) return;
"""


def cuda(
    before: str = "",
    device: str = "",
    value: str = "v < 0.0f ? 0.0f : v",
    first: str = "",
    last: str = "",
    shared: str = "0",
) -> str:
    """A relu in CUDA. In scope of ``device`` and ``value``: x, y, in, n, i, v, T; of ``first`` and
    ``last``, which are host code: x, y, n, blocks, T, stream."""
    return _CUDA % {
        "before": before, "device": device, "value": value, "first": first, "last": last,
        "shared": shared,
    }  # fmt: skip


_METAL = """import mlx.core as mx
%(before)s
SOURCE = r'''
    uint i = thread_position_in_grid.x;
    float v = float(x[i]);
    %(device)s
    y[i] = static_cast<T>(%(value)s);
'''
HEADER = r'''%(header)s'''
run = mx.fast.metal_kernel(
    name="%(name)s", input_names=["x"], output_names=["y"], source=SOURCE, header=HEADER
)


def launch(x, kernel_=None):
    return (kernel_ or run)(
        inputs=[x], template=[("T", x.dtype)], grid=(%(grid)s, 1, 1), threadgroup=(256, 1, 1),
        output_shapes=[x.shape], output_dtypes=[x.dtype],
    )[0]


def kernel(x):
    if x.size == 0:
        return mx.zeros_like(x)
%(host)s
"""


def metal(
    host: str = "return launch(x)",
    before: str = "",
    device: str = "",
    value: str = "v < 0.0f ? 0.0f : v",
    header: str = "",
    name: str = "relu",
    grid: str = "x.size",
) -> str:
    """A relu for MLX. In scope of ``device`` and ``value``: x, y, i, v, T; of ``host``, the end of
    the Python function: x, launch, run, mx."""
    return _METAL % {
        "host": _indented(host), "before": textwrap.dedent(before).strip("\n"), "device": device,
        "value": value, "header": header, "name": name, "grid": grid,
    }  # fmt: skip


_TRITON = """import torch
import triton
import triton.language as tl
%(before)s

@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    v = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
%(device)s
    result = %(value)s
    tl.store(y_ptr + at, result.to(y_ptr.dtype.element_ty), mask=%(mask)s)


def launch(x, y):
    n = y.numel()
    if n:
        relu_kernel[(triton.cdiv(n, 1024),)](x, y, n, BLOCK=1024, num_warps=4)
    return y


def kernel(x):
    x = x.contiguous()
    y = torch.empty_like(x)
%(host)s
"""


def triton(
    host: str = "return launch(x, y)",
    before: str = "",
    device: str = "",
    value: str = "tl.where(v < 0, 0.0, v)",
    mask: str = "inside",
) -> str:
    """A relu in Triton. In scope of ``device`` and ``value``: x_ptr, y_ptr, n, at, inside, v; of
    ``host``, the end of the Python function: x, y, launch."""
    return _TRITON % {
        "host": _indented(host), "before": textwrap.dedent(before).strip("\n"),
        "device": _indented(device), "value": value, "mask": mask,
    }  # fmt: skip


def _indented(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")


def hostile(
    backend: str,
    ids: str,
    name: str,
    mechanism: str,
    source: str,
    accept: frozenset[str] = BROKEN,
    slow: bool = False,
    prepare: tuple[str, ...] = (),
    escape: str = "",
    task: str = "relu",
) -> Hostile:
    """An attack on one of the three, judged without timing, as all are there."""
    return Hostile(
        tuple(ids.split()), f"{_SHORT[backend]}-{name}", mechanism, source, accept,
        task, slow=slow, prepare=prepare, backend=backend, escape=escape,
    )  # fmt: skip


_CARELESS = (
    ("B12", "layernorm", "ignores_bias"),
    ("B12", "rmsnorm", "ignores_weight"),
    ("B22", "layernorm", "one_pass_variance"),
    ("B22", "sum_last", "half_accumulator"),
    ("B23", "softmax", "no_max_subtraction"),
)


def careless(backend: str) -> tuple[Hostile, ...]:
    """Kernels of tasks that leave out what the inputs of lesser judges do not show."""
    found = []
    for ids, task, mistake in _CARELESS:
        source = core.load(task).wrong[backend][mistake]
        name = mistake.replace("_", "-")
        said = name.replace("-", " ")
        found.append(hostile(backend, ids, f"{task}-{name}", said, source, task=task))
    return tuple(found)


def honest(backend: str, name: str, looks: str, source: str, task: str = "relu") -> Honest:
    """A kernel that must be verified on one of the three."""
    return Honest(f"{_SHORT[backend]}-{name}", looks, source, task, backend=backend)
