# SPDX-License-Identifier: Apache-2.0
"""Recipes in CUDA for reductions, softmax and norms over the last dim: one block per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

ACC = Slot("acc", ("float", "double", "half"), (12, 3, 1), "float")
_REDUCE = {
    "shuffle": """
template <class F>
__device__ inline W block_reduce(W v, W neutral, F both) {
  __shared__ W part[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int by = @LANES@; by > 0; by /= 2) v = both(v, __shfl_xor_sync(0xffffffffu, v, by));
  __syncthreads();
  if (lane == 0) part[warp] = v;
@BARRIER@  v = lane < blockDim.x / 32 ? part[lane] : neutral;
  for (int by = 16; by > 0; by /= 2) v = both(v, __shfl_xor_sync(0xffffffffu, v, by));
  return v;
}
""",
    "shared": """
template <class F>
__device__ inline W block_reduce(W v, W neutral, F both) {
  __shared__ W part[THREADS];
  __syncthreads();
  part[threadIdx.x] = v;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
  @BARRIER@    if (threadIdx.x < half)
      part[threadIdx.x] = both(part[threadIdx.x], part[threadIdx.x + half]);
  }
  __syncthreads();
  return part[0];
}
""",
}
_SUM = """
// Sum of f along the row; every thread gets it.
template <class F>
__device__ inline W row_sum(int64_t n, F f) {
  A mine = A(0.0f);
  for (int64_t i = threadIdx.x; @INSIDE@; i += blockDim.x) mine = A(W(mine) + W(f(i)));
  return block_reduce(W(mine), W(0), [](W a, W b) { return a + b; });
}
"""
_MAX = """
template <class F>
__device__ inline W row_max(int64_t n, F f) {
  const auto larger = [](W a, W b) { return @LARGER@; };
  W mine = @LOWEST@;
  for (int64_t i = threadIdx.x; @INSIDE@; i += blockDim.x) mine = larger(mine, W(f(i)));
  return block_reduce(mine, @LOWEST@, larger);
}
"""
_KERNEL = """
template <class T>
__global__ void __launch_bounds__(THREADS)
rows(const T *x, @POINTERS@T *y,
     kc::Strided in@LAYOUTS@@SCALAR@) {
  const int64_t n = in.cols, row = blockIdx.x;
  const T *from = x + @ROW@;
  const auto at = [&](int64_t i) { return float(from[@INDEX@]); };
@BODY@}

extern "C" void kernel(const DLTensor *x, @TENSORS@DLTensor *y,
                       @EPS@cudaStream_t stream) {
  const kc::Strided in = kc::strided(x);
  if (kc::numel(y) == 0) return;
  int threads = 32;  // as many as the row has elements
  while (threads < THREADS && threads < in.cols) threads *= 2;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    rows<T><<<in.rows, threads, 0, stream>>>(
        kc::data<T>(x), @DATA@kc::data<T>(y), in@STEPS@@GIVEN@);
  });
}
"""
_WRITE = "  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)\n    y[row * n + i] = T({});\n"
_ONLINE = """  // Maximum and sum in one pass: what was summed shrinks when the maximum grows.
  float most = -INFINITY, sum = 0.0f;
  for (int64_t i = threadIdx.x; @INSIDE@; i += blockDim.x) {
    const float v = at(i);
    if (v > most) {
      sum = sum * expf(most - v) + 1.0f;
      most = v;
    } else if (v != -INFINITY) {
      sum += expf(v - most);
    }
  }
  const W top = block_reduce(most, -INFINITY, [](W a, W b) { return W(fmaxf(a, b)); });
  const W mine = W(sum) * expf(most - float(top));
  const W total = block_reduce(mine, W(0), [](W a, W b) { return a + b; });
"""
_PASSES = """  const float top = {top};
  const W total = row_sum(n, [&](int64_t i) {{ return expf(at(i) - top); }});
"""
_SOFTMAX = _WRITE.format("expf(at(i) - float(top)) / float(total)")
_MOMENTS = {
    "two-pass": """  const float mean = float(row_sum(n, at)) / float(n);
  const W squares = row_sum(n, [&](int64_t i) { return (at(i) - mean) * (at(i) - mean); });
  const float variance = float(squares) / float(n);
""",
    "squares": """  const float mean = float(row_sum(n, at)) / float(n);
  const W squares = row_sum(n, [&](int64_t i) { return at(i) * at(i); });
  const float variance = float(squares) / float(n) - mean * mean;
""",
}
_MEAN_SQUARE = """  const W squares = row_sum(n, [&](int64_t i) { return at(i) * at(i); });
  const float variance = float(squares) / float(n);
"""
_SCALE = {
    ("rsqrt", "inside"): "rsqrtf(variance + eps)",
    ("sqrt", "inside"): "1.0f / sqrtf(variance + eps)",
    ("rsqrt", "outside"): "1.0f / (variance * rsqrtf(variance) + eps)",
    ("sqrt", "outside"): "1.0f / (sqrtf(variance) + eps)",
    ("rsqrt", "ignored"): "rsqrtf(variance + 1e-5f)",
    ("sqrt", "ignored"): "1.0f / sqrtf(variance + 1e-5f)",
}
_WEIGHT = "float(weight[i * weight_step])"
_BODIES: Mapping[str, str] = {
    "sum": "  const W total = row_sum(n, at);\n  if (threadIdx.x == 0) y[row] = T(float(total));\n",
    "mean": "  const W total = row_sum(n, at);\n"
    "  if (threadIdx.x == 0) y[row] = T(float(total) / float(n));\n",
    "max": "  const W top = row_max(n, at);\n  if (threadIdx.x == 0) y[row] = T(float(top));\n",
    "rmsnorm": "  const float scale = @SCALE@;\n" + _WRITE.format(f"at(i) * scale * {_WEIGHT}"),
    "layernorm": "  const float scale = @SCALE@;\n"
    + _WRITE.format(f"(at(i) - mean) * scale * {_WEIGHT} + float(bias[i * bias_step])"),
}


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Slots of one operation. Raises ``ValueError`` for an unknown one."""
    return gpu.row_slots(recipe, ACC)


def _body(op: str, params: Params) -> str:
    if op == "softmax":
        if params["algorithm"] == "online":
            return _ONLINE + _SOFTMAX
        top = "0.0f" if params["algorithm"] == "no-max" else "float(row_max(n, at))"
        return _PASSES.format(top=top) + _SOFTMAX
    if op == "layernorm":
        return _MOMENTS[str(params["variance"])] + _BODIES[op]
    return (_MEAN_SQUARE if op == "rmsnorm" else "") + _BODIES[op]


def _functions(op: str, params: Params) -> str:
    needs_max = op == "max" or params.get("algorithm") == "three-pass"
    needs_sum = op != "max" and params.get("algorithm") != "online"
    text = _REDUCE[str(params["reduce"])]
    return text + (_MAX if needs_max else "") + (_SUM if needs_sum else "")


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The CUDA file."""
    op, layout = gpu.row_op(recipe), params["layout"]
    weights = gpu.WEIGHTS.get(op, ())
    acc = str(params.get("acc", "float"))
    wide = "double" if acc == "double" else "float"
    scaled = _SCALE[str(params.get("root", "sqrt")), str(params.get("eps", "inside"))]
    swallows = params.get("nan") == "swallow"
    marks = {
        "BODY": _body(op, params),
        "POINTERS": "".join(f"const T *{one}, " for one in weights),
        "LAYOUTS": "".join(f", int64_t {one}_step" for one in weights),
        "SCALAR": ", float eps" if weights else "",
        "TENSORS": "".join(f"const DLTensor *{one}, " for one in weights),
        "EPS": "double eps, " if weights else "",
        "DATA": "".join(f"kc::data<T>({one}), " for one in weights),
        "STEPS": "".join(f", {one}->strides[0]" for one in weights),
        "GIVEN": ", float(eps)" if weights else "",
        "ROW": "row * n" if layout == "dense" else "in.row(row)",
        "INDEX": "i" if layout == "dense" else "i * in.col",
        "INSIDE": "i < n" if params["bounds"] == "checked" else "i <= n",
        "LANES": 16 if params["lanes"] == "all" else 8,
        "BARRIER": "" if params["barrier"] == "missing" else "  __syncthreads();\n",
        "LARGER": "W(fmaxf(a, b))" if swallows else "isnan(a) || a > b ? a : b",
        "LOWEST": "W(0)" if params.get("init") == "zero" else "W(-INFINITY)",
        "SCALE": scaled,
    }
    head = f"""// {op} over the last dim, one block per row
#include <kernelcoder_cuda.h>
{"KC_REQUIRE_CONTIGUOUS" if layout == "copy" else ""}
constexpr int THREADS = {params["threads"]};
using A = {"__half" if acc == "half" else acc};  // of the sums of a thread
using W = {wide};  // of what threads hand each other
"""
    text = gpu.fill(_functions(op, params) + _KERNEL, marks)
    return gpu.first_line("//", str(recipe["family"]), params) + head + text
