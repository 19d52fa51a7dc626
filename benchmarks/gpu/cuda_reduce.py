# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels of reductions over the last dim: one block per row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cpp import edits
from benchmarks.gpu.cuda_blocks import INCLUDE, MAX, MISTAKES, SUM, entry

_SUM = """
template <class T>
__global__ void sum_last(const T *x, T *y, kc::Strided in) {
  const T *row = x + in.row(blockIdx.x);
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x) sum += float(row[i * in.col]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) y[blockIdx.x] = T(sum);
}
"""
_MEAN = _SUM.replace("sum_last", "mean_last").replace("T(sum)", "T(sum / float(in.cols))")
_MAX = """
template <class T>
__global__ void max_last(const T *x, T *y, kc::Strided in) {
  const T *row = x + in.row(blockIdx.x);
  float top = -INFINITY;
  for (int64_t i = threadIdx.x; i < in.cols; i += blockDim.x)
    top = larger(top, float(row[i * in.col]));
  top = block_max(top);
  if (threadIdx.x == 0) y[blockIdx.x] = T(top);
}
"""
_SOURCES: Mapping[str, str] = {
    "sum_last": INCLUDE + SUM + _SUM + entry("sum_last"),
    "mean_last": INCLUDE + SUM + _MEAN + entry("mean_last"),
    "max_last": INCLUDE + MAX + _MAX + entry("max_last"),
}
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ignores_strides": (("in.row(blockIdx.x)", "blockIdx.x * in.cols"), ("[i * in.col]", "[i]")),
    "one_element_per_thread": (
        ("i < in.cols; i += blockDim.x", "i < blockDim.x; i += blockDim.x"),
    ),
    "loses_the_tail": (("i < in.cols;", "i < in.cols / 4 * 4;"),),
}
_ACCUMULATES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "half_accumulator": (
        ("  float sum = 0.0f;", "  __half total = 0.0f;"),
        (
            "sum += float(row[i * in.col]);",
            "total = __half(float(total) + float(row[i * in.col]));",
        ),
        ("  sum = block_sum(sum)", "  const float sum = block_sum(total)"),
    ),
    "every_thread_adds": (
        (
            "  if (threadIdx.x == 0) y[blockIdx.x] = T(",
            "  y[blockIdx.x] = T(float(y[blockIdx.x]) + ",
        ),
    ),
}
_OWN: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "sum_last": {**_ACCUMULATES, "is_mean": (("T(sum)", "T(sum / float(in.cols))"),)},
    "mean_last": {
        **_ACCUMULATES,
        "divides_by_the_block": (("float(in.cols)", "float(blockDim.x)"),),
    },
    "max_last": {
        "starts_at_zero": (("float top = -INFINITY", "float top = 0.0f"),),
        "swallows_nan": (("isnan(a) || a > b ? a : b", "fmaxf(a, b)"),),
    },
}
# Of the mistakes that fit several operators, each has some.
_SHARED: Mapping[str, tuple[str, ...]] = {
    "sum_last": ("no_barrier_after_the_store", "ignores_strides"),
    "mean_last": ("half_of_the_lanes", "loses_the_tail"),
    "max_last": ("one_warp_of_the_block", "one_element_per_thread"),
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
