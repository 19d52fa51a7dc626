# SPDX-License-Identifier: Apache-2.0
"""Reduction recipes: sum, mean or max over the last dim, kept as a dim of 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import frame, mathlib, slots
from kernelcoder.models.recipes.slots import Params, Slot

_OPS = ("sum", "max", "mean")
_NAN = Slot("nan", ("propagate", "flag", "swallow"), (5, 4, 1), "propagate")
_ACC = Slot("acc", ("float", "double", "kahan", "element"), (9, 3, 2, 1), "double")
_INIT = Slot("init", ("first", "-inf", "zero"), (4, 5, 1), "-inf")

_FLOAT_SUM = """
// UNROLL independent sums of W lanes hide the latency of the addition.
template <class T>
float total(const float *x, int64_t n) {
  V acc[UNROLL] = {};
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; ++u) acc[u] += load(x + i + u * W);
  for (; i + W <= n; i += W) acc[0] += load(x + i);
@TAIL@  for (int u = 1; u < UNROLL; ++u) acc[0] += acc[u];
  float sum = 0.0f;
  for (int l = 0; l < W; ++l) sum += acc[0][l];
  return sum;
}
"""
_DOUBLE_SUM = """
// Sums in double precision, UNROLL times W lanes.
typedef double D __attribute__((vector_size(8 * W)));
template <class T>
double total(const float *x, int64_t n) {
  D acc[UNROLL] = {};
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; ++u) acc[u] += __builtin_convertvector(load(x + i + u * W), D);
  for (; i + W <= n; i += W) acc[0] += __builtin_convertvector(load(x + i), D);
@TAIL@  for (int u = 1; u < UNROLL; ++u) acc[0] += acc[u];
  double sum = 0.0;
  for (int l = 0; l < W; ++l) sum += acc[0][l];
  return sum;
}
"""
_KAHAN_SUM = """
// Compensated summation (Kahan 1965): each lane carries what its last addition lost.
inline void add(V &sum, V &lost, V x) {
  const V y = x - lost, t = sum + y;
  lost = (t - sum) - y;
  sum = t;
}
template <class T>
float total(const float *x, int64_t n) {
  V acc[UNROLL] = {}, lost[UNROLL] = {};
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; ++u) add(acc[u], lost[u], load(x + i + u * W));
  for (; i + W <= n; i += W) add(acc[0], lost[0], load(x + i));
@TAIL@  V sum = {}, rest = {};
  for (int u = 0; u < UNROLL; ++u) add(sum, rest, acc[u]);
  double whole = 0.0;
  for (int l = 0; l < W; ++l) whole += double(sum[l]);
  return float(whole);
}
"""
_ELEMENT_SUM = """
// One running sum in the element type.
template <class T>
float total(const float *x, int64_t n) {
  T sum = T(0.0f);
  for (int64_t i = 0; i < n; ++i) sum = T(float(sum) + x[i]);
  return float(sum);
}
"""
_SUMS = {
    "float": (_FLOAT_SUM, "acc[0] += {v};"),
    "double": (_DOUBLE_SUM, "acc[0] += __builtin_convertvector({v}, D);"),
    "kahan": (_KAHAN_SUM, "add(acc[0], lost[0], {v});"),
    "element": (_ELEMENT_SUM, ""),
}
_MAX = """
// UNROLL independent maxima of W lanes hide the latency of the comparison.
template <class T>
float total(const float *x, int64_t n) {
  const float start = @INIT@;
  V acc[UNROLL];
  for (int u = 0; u < UNROLL; ++u) acc[u] = splat(start);
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; ++u) acc[u] = max(load(x + i + u * W), acc[u]);
  for (; i + W <= n; i += W) acc[0] = max(load(x + i), acc[0]);
@TAIL@  for (int u = 1; u < UNROLL; ++u) acc[0] = max(acc[u], acc[0]);
  float best = start;
  for (int l = 0; l < W; ++l) best = max(splat(acc[0][l]), splat(best))[0];
  return best;
}
"""
_FLAG_MAX = """
// NaN loses every comparison, so it is looked for on the side: its bits, without the sign, exceed
// those of infinity.
inline void take(V &acc, I &most, V x) {
  acc = x > acc ? x : acc;
  const I bits = (I)x & 0x7fffffff;
  most = bits > most ? bits : most;
}
template <class T>
float total(const float *x, int64_t n) {
  const float start = @INIT@;
  V acc[UNROLL];
  I most[UNROLL] = {};
  for (int u = 0; u < UNROLL; ++u) acc[u] = splat(start);
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; ++u) take(acc[u], most[u], load(x + i + u * W));
  for (; i + W <= n; i += W) take(acc[0], most[0], load(x + i));
@TAIL@  float best = start;
  for (int u = 0; u < UNROLL; ++u)
    for (int l = 0; l < W; ++l) {
      if (most[u][l] > 0x7f800000) return std::numeric_limits<float>::quiet_NaN();
      best = std::max(best, acc[u][l]);
    }
  return best;
}
"""
_INITS = {
    "first": "x[0]",
    "-inf": "-std::numeric_limits<float>::infinity()",
    "zero": "0.0f",
}
_KERNEL = """
template <class T>
void reduce_rows(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::numel(y), width = kc::cols(x), step = @STEP@;
  const T *in = kc::data<T>(x);
  T *out = kc::data<T>(y);
  const bool direct = std::is_same_v<T, float> && step == 1;
@PRAGMA@  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> buffer(direct ? 0 : width);
    const float *p = floats(in + @ROW@, step, width, buffer.data());
    out[row] = T(float(@RESULT@));
  }
}

}  // namespace

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) { reduce_rows<decltype(zero)>(x, y); });
}
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Slots of one operation. Raises ``ValueError`` for an operation other than sum, max, mean."""
    if recipe["op"] not in _OPS:
        raise ValueError(f"unknown reduction {recipe['op']!r}; one of {', '.join(_OPS)}")
    tail = Slot("tail", ("partial", "scalar", "none"), (8, 5, 1), "partial")
    shared = (slots.LANES, slots.UNROLL, slots.THREADS, slots.LAYOUT, slots.ALIGN, tail)
    return shared + ((_INIT, _NAN) if recipe["op"] == "max" else (_ACC,))


def _tail(params: Params, combine: str, fill: str) -> str:
    if params["tail"] == "none":
        return ""
    if params["tail"] == "scalar":
        return f"  for (; i < n; ++i) {combine.format(v=f'load_part(x + i, 1, {fill})')}\n"
    return f"  if (i < n) {combine.format(v=f'load_part(x + i, n - i, {fill})')}\n"


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The C++ file."""
    op = str(recipe["op"])
    if op == "max":
        nan, flag = str(params["nan"]), params["nan"] == "flag"
        pick = "" if flag else mathlib.functions(["max"], "high", int(params["lanes"]), nan)
        body = pick + (_FLAG_MAX if flag else _MAX)
        body = body.replace("@INIT@", _INITS[str(params["init"])])
        combine = "take(acc[0], most[0], {v});" if flag else "acc[0] = max({v}, acc[0]);"
        tail = _tail(params, combine, "x[i]")
    else:
        body, combine = _SUMS[str(params["acc"])]
        tail = _tail(params, combine, "0.0f")
    kernel = (
        _KERNEL.replace("@STEP@", frame.col_stride(params, "x"))
        .replace("@PRAGMA@", frame.parallel(params, "rows * width"))
        .replace("@ROW@", frame.row_offset(params, "x", "row", "width"))
        .replace("@RESULT@", f"total<T>(p, width){' / width' if op == 'mean' else ''}")
    )
    return (
        frame.head("reduce", f"{op} over the last dim, one row after another", params)
        + frame.threads(params)
        + frame.FLOATS
        + body.replace("@TAIL@", tail)
        + kernel
    )
