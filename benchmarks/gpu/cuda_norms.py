# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels of softmax and norms over the last dim: one block per row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cpp import edits
from benchmarks.gpu.cuda_blocks import INCLUDE, MAX, MISTAKES, SUM, entry

_SOFTMAX = """
template <class T>
__global__ void softmax(const T *x, T *y, kc::Strided in) {
  const T *from = x + in.row(blockIdx.x);
  T *to = y + blockIdx.x * in.cols;
  float top = -INFINITY;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    top = larger(top, float(from[i * in.col]));
  top = block_max(top);
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    sum += expf(float(from[i * in.col]) - top);
  sum = block_sum(sum);
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    to[i] = T(expf(float(from[i * in.col]) - top) / sum);
}
"""
_RMSNORM = """
template <class T>
__global__ void rmsnorm(const T *x, const T *weight, T *y, kc::Strided in, int64_t step,
                        float eps) {
  const T *from = x + in.row(blockIdx.x);
  T *to = y + blockIdx.x * in.cols;
  float squares = 0.0f;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x) {
    const float v = float(from[i * in.col]);
    squares += v * v;
  }
  squares = block_sum(squares);
  const float scale = 1.0f / sqrtf(squares / float(in.cols) + eps);
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    to[i] = T(float(from[i * in.col]) * scale * float(weight[i * step]));
}
"""
# The variance from centered values: a large mean costs no digits.
_LAYERNORM = """
template <class T>
__global__ void layernorm(const T *x, const T *weight, const T *bias, T *y, kc::Strided in,
                          int64_t weight_step, int64_t bias_step, float eps) {
  const T *from = x + in.row(blockIdx.x);
  T *to = y + blockIdx.x * in.cols;
  float sum = 0.0f, squares = 0.0f;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x) sum += float(from[i * in.col]);
  sum = block_sum(sum);
  const float mean = sum / float(in.cols);
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x) {
    const float d = float(from[i * in.col]) - mean;
    squares += d * d;
  }
  squares = block_sum(squares);
  const float scale = 1.0f / sqrtf(squares / float(in.cols) + eps);
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    to[i] = T((float(from[i * in.col]) - mean) * scale * float(weight[i * weight_step]) +
              float(bias[i * bias_step]));
}
"""
_SOURCES: Mapping[str, str] = {
    "softmax": INCLUDE + MAX + SUM + _SOFTMAX + entry("softmax"),
    "rmsnorm": INCLUDE + SUM + _RMSNORM + entry("rmsnorm", ("weight",), ("eps",)),
    "layernorm": INCLUDE + SUM + _LAYERNORM + entry("layernorm", ("weight", "bias"), ("eps",)),
}
_STORES = "i < in.cols; i += blockDim.x)\n    to"
_SHUFFLE = "__shfl_xor_sync(0xffffffffu, v, by)"
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ignores_strides": (
        ("x + in.row(blockIdx.x)", "x + blockIdx.x * in.cols"),
        ("from[i * in.col]", "from[i]"),
    ),
    "loses_the_tail": ((_STORES, _STORES.replace("in.cols;", "in.cols / 4 * 4;")),),
    "writes_past_the_row": ((_STORES, _STORES.replace("<", "<=")),),
    "half_accumulator": (
        ("float block_sum(float v)", "float block_sum(__half v)"),
        (f"v += {_SHUFFLE}", f"v = __half(float(v) + float({_SHUFFLE}))"),
        ("? part[lane] : 0.0f", "? __half(part[lane]) : __half(0.0f)"),
    ),
    "scratch_used_again_too_early": (
        ("return v;\n  __syncthreads();\n  if (lane", "return v;\n  if (lane"),
    ),
    "some_threads_reach_the_barrier": (
        ("if (blockDim.x == 32) return v;", "if (blockDim.x == 32 || warp > 3) return v;"),
    ),
}
_EPS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "eps_outside_root": (
        ("sqrtf(squares / float(in.cols) + eps)", "(sqrtf(squares / float(in.cols)) + eps)"),
    ),
}
_OWN: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "softmax": {
        "no_max_subtraction": ((" - top)", ")"),),
        "sum_of_one_warp": (
            ("  sum = block_sum(sum);",
             "  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, by);"),
        ),
    },
    "rmsnorm": {
        **_EPS,
        "ignores_weight": ((" * float(weight[i * step])", ""),),
        "forgets_the_mean": (("squares / float(in.cols) + eps", "squares + eps"),),
    },
    "layernorm": {
        **_EPS,
        "ignores_bias": (("bias[i * bias_step]", "0.0f"),),
        "one_pass_variance": (
            ("float(from[i * in.col]) - mean;", "float(from[i * in.col]);"),
            ("squares / float(in.cols) + eps", "squares / float(in.cols) - mean * mean + eps"),
        ),
    },
}  # fmt: skip
# Of the mistakes that fit several operators, each has some.
_SHARED: Mapping[str, tuple[str, ...]] = {
    "softmax": (
        "some_threads_reach_the_barrier",
        "writes_past_the_row",
    ),
    "rmsnorm": ("half_of_the_lanes", "half_accumulator", "ignores_strides"),
    "layernorm": (
        "no_barrier_after_the_store",
        "scratch_used_again_too_early",
        "loses_the_tail",
    ),
}
NAMES = frozenset(_SOURCES)


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCES[name]


def wrong(name: str) -> dict[str, str]:
    """Mistakes of the reduction over a block, of walking along a row, and of the operator."""
    fitting = {**MISTAKES, **_ROWS}
    shared = {key: fitting[key] for key in _SHARED[name]}
    return edits(_SOURCES[name], {**shared, **_OWN[name]})
