# SPDX-License-Identifier: Apache-2.0
"""matmul: ``y[M, N] = a[M, K] @ b[K, N]``."""

from __future__ import annotations

import inspect
import math
import random
from functools import partial

import torch

from benchmarks import cases, fuzz
from benchmarks.cases import Row
from benchmarks.cpp import edits, paste
from benchmarks.families import running_sum, traffic
from benchmarks.generate import Domain, maker
from kernelcoder.task import Arg, Case, Task


def reference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b


def magnitude(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``|a| @ |b|``: the absolute terms of every dot product."""
    return a.abs() @ b.abs()


def shapes_of(m: int, k: int, n: int) -> dict[str, tuple[int, ...]]:
    """Shapes by argument name."""
    return {"a": (m, k), "b": (k, n), "y": (m, n)}


def shapes(rng: random.Random, size: str) -> dict[str, tuple[int, ...]]:
    """Fresh sizes: none of M, K, N a multiple of a tile, and never two alike in a "grid"; all
    multiples of one in "blocks". "middle" and "deep" have many terms, a "vector" is one row."""
    if size == "empty":
        return rng.choice((shapes_of(0, 5, 7), shapes_of(5, 3, 0)))
    if size == "no_terms":  # K = 0: an empty sum is 0, and y has elements to write
        return shapes_of(cases.odd(rng, 3, 21), 0, cases.odd(rng, 3, 21))
    if size == "one":
        return shapes_of(1, 1, 1)
    if size == "big":
        return shapes_of(cases.odd(rng, 137, 149), cases.odd(rng, 515, 541), cases.odd(rng, 83, 91))
    if size == "tall":
        return shapes_of(cases.odd(rng, 4097, 4301), cases.odd(rng, 11, 19), rng.choice((5, 7)))
    if size == "thin":
        return shapes_of(cases.odd(rng, 21, 45), cases.odd(rng, 47, 65), 1)
    if size == "blocks":
        m, k, n = rng.choices((64, 128), k=3)
        return shapes_of(m, k, n)
    if size == "middle":
        m, k = cases.middle(rng)
        return shapes_of(m, k, rng.choice((3, 5, 7)))
    if size == "deep":
        return shapes_of(cases.odd(rng, 15, 19), cases.odd(rng, 4097, 4999), cases.odd(rng, 5, 9))
    if size == "short":
        return shapes_of(cases.odd(rng, 33, 99), rng.choice((2, 3, 5, 7)), rng.choice((2, 3, 6, 7)))
    if size == "past":
        m, k, n = rng.choices((33, 65, 129), k=3)
        return shapes_of(m, k, n)
    if size == "composite":
        return shapes_of(cases.COMPOSITE, 45, cases.COMPOSITE)
    if size == "vector":
        return shapes_of(1, cases.odd(rng, 33, 299), cases.odd(rng, 33, 99))
    m, k, n = rng.sample(cases.PRIMES, 3)
    return shapes_of(m, k, n)


# 300 terms of up to 1e4 each still fit in f16.
HIDDEN = (
    *(row._replace(dtype="f32") if row.values == "large" else row for row in cases.HIDDEN),
    Row("big", "f16", "contiguous", "normal"),
    Row("big", "f32", "transposed", "negative"),
    Row("no_terms", "f32", "contiguous", "normal"),
    *(Row("grid", *row[1:]) for row in cases.EXACT),
)


def holdout(rng: random.Random) -> tuple[Case, ...]:
    """Fresh hidden cases."""
    illegal = ("special",)
    planned = cases.hidden(rng, HIDDEN, shapes, lambda _: {}, illegal)
    samples = fuzz.draw(rng, fuzz.families(illegal, "integers"), ranks=(3,), most=1 << 15)
    return planned + fuzz.hidden(samples, lambda sizes: shapes_of(*sizes), dict)


def plain(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Row by column with running sums: of the first rows and columns only, the others are as
    PyTorch has them; all terms side by side would be K times as many numbers as in y."""
    y = a @ b
    some = b[:, : max(1, PLAIN_TERMS // max(1, len(b)))]
    for row in range(min(len(a), max(1, PLAIN_TERMS // max(1, some.numel())))):
        sums = running_sum((a[row, :, None] * some).T.contiguous())
        y[row, : some.shape[1]] = sums[:, 0]
    return y


PLAIN_TERMS = 1 << 17
SOLUTION = paste(
    ["vec"],
    """
// Register tiles of MR x NR floats over packed panels. Edges are padded with zeros when packing,
// so the inner loop has one shape only.
constexpr int64_t MR = 12, NR = 2 * W, KC = 384, MC = 8 * MR;

template <class T>
static void pack(const DLTensor *t, int64_t i0, int64_t m, int64_t k0, int64_t kc, bool rows,
                 int64_t tile, float *out) {
  const T *p = kc::data<T>(t);
  const int64_t si = t->strides[rows ? 0 : 1], sk = t->strides[rows ? 1 : 0];
  for (int64_t k = 0; k < kc; ++k, out += tile) {
    const T *line = p + i0 * si + (k0 + k) * sk;
    for (int64_t i = 0; i < m; ++i) out[i] = float(line[i * si]);
    for (int64_t i = m; i < tile; ++i) out[i] = 0.0f;
  }
}

// c[m, n] (+)= panel a x panel b
static void tile(const float *a, const float *b, int64_t kc, float *c, int64_t ldc, int64_t m,
                 int64_t n, bool first) {
  V acc[MR][2] = {};
  for (int64_t k = 0; k < kc; ++k, a += MR, b += NR) {
    const V b0 = get(b), b1 = get(b + W);
    for (int i = 0; i < MR; ++i) {
      acc[i][0] += a[i] * b0;
      acc[i][1] += a[i] * b1;
    }
  }
  if (m == MR && n == NR) {
    for (int i = 0; i < MR; ++i)
      for (int h = 0; h < 2; ++h) {
        float *p = c + i * ldc + h * W;
        put(p, first ? acc[i][h] : get(p) + acc[i][h]);
      }
    return;
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      c[i * ldc + j] = (first ? 0.0f : c[i * ldc + j]) + acc[i][j / W][j % W];
}

template <class T>
static void multiply(const DLTensor *a, const DLTensor *b, float *c) {
  const int64_t M = a->shape[0], K = a->shape[1], N = b->shape[1];
  if (K == 0) std::fill(c, c + M * N, 0.0f);
  const int64_t panels = (N + NR - 1) / NR, depth = std::min(K, KC);
  std::vector<float> pb(panels * NR * depth), pa(MC * depth);
  for (int64_t k0 = 0; k0 < K; k0 += KC) {
    const int64_t kc = std::min(KC, K - k0);
    for (int64_t p = 0; p < panels; ++p)
      pack<T>(b, p * NR, std::min(NR, N - p * NR), k0, kc, false, NR, &pb[p * NR * kc]);
    for (int64_t i0 = 0; i0 < M; i0 += MC) {
      const int64_t mc = std::min(MC, M - i0);
      for (int64_t i = 0; i < mc; i += MR)
        pack<T>(a, i0 + i, std::min(MR, mc - i), k0, kc, true, MR, &pa[i * kc]);
      for (int64_t p = 0; p < panels; ++p)
        for (int64_t i = 0; i < mc; i += MR)
          tile(&pa[i * kc], &pb[p * NR * kc], kc, c + (i0 + i) * N + p * NR, N,
               std::min(MR, mc - i), std::min(NR, N - p * NR), k0 == 0);
    }
  }
}

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  const int64_t n = kc::numel(y);
  if (n == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>) return multiply<T>(a, b, kc::data<float>(y));
    std::vector<float> c(n);
    multiply<T>(a, b, c.data());
    kc::store(c.data(), n, kc::data<T>(y));
  });
}
""",
)

PLAIN = """#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  const int64_t M = a->shape[0], K = a->shape[1], N = b->shape[1];
  const int64_t am = a->strides[0], ak = a->strides[1], bk = b->strides[0], bn = b->strides[1];
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    using A = float;
    const T *pa = kc::data<T>(a), *pb = kc::data<T>(b);
    T *out = kc::data<T>(y);
    for (int64_t i = 0; i < M; ++i)
      for (int64_t j = 0; j < N; ++j) {
        A sum = 0;
        for (int64_t k = 0; k < K; ++k)
          sum = A(sum + A(float(pa[i * am + k * ak]) * float(pb[k * bk + j * bn])));
        out[i * N + j] = T(sum);
      }
  });
}
"""

DOMAINS = {
    "a": Domain(largest=1e4, summed=-1, share=0.7),
    "b": Domain(largest=1e4, summed=0, share=0.3),
}
ARGS = (Arg("a", ("M", "K")), Arg("b", ("K", "N")))
TASK = Task(
    suite="core",
    name="matmul",
    title="Matrix multiplication",
    category="matmul",
    inputs=ARGS,
    outputs=(Arg("y", ("M", "N")),),
    scalars=(),
    description="Matrix product y[M, N] = a[M, K] @ b[K, N], accumulated in float32 or better.",
    properties=("rows", "elements", "scale", "odd", "linear", "padding"),
    reference_source=inspect.getsource(reference),
    reference=reference,
    make_inputs=maker(ARGS, DOMAINS),
    visible=cases.visible(
        [
            (cases.VISIBLE[0], shapes_of(5, 16, 7), {}),
            (cases.VISIBLE[1], shapes_of(16, 33, 24), {}),
            (cases.VISIBLE[2], shapes_of(13, 40, 17), {}),
        ]
    ),
    holdout=holdout,
    timing=(
        cases.timed("hot", shapes_of(256, 256, 256), {}),
        cases.timed("cold", shapes_of(16, 3072, 4096), {}),  # 48 MiB of b, as in inference
    ),
    bytes=partial(traffic, ("a", "b", "y")),
    flops=lambda case: 2 * math.prod(case.shapes["a"]) * case.shapes["b"][1],
    magnitude=magnitude,
    plain=plain,
    exact="integers",
    solutions={"cpu": SOLUTION},
    wrong={
        "cpu": edits(
            PLAIN,
            {
                "half_accumulator": (("using A = float", "using A = kc::half"),),
                "returns_for_empty_inputs": (
                    ("  kc::dispatch", "  if (kc::numel(a) == 0) return;\n  kc::dispatch"),
                ),
                "accumulates_in_output_type": (("using A = float", "using A = T"),),
                "transposed_b": (("k * bk + j * bn", "(j * K + k) % (K * N)"),),
                "ignores_strides": (
                    ("i * am + k * ak", "i * K + k"),
                    ("k * bk + j * bn", "k * N + j"),
                ),
                "loses_the_k_tail": (("k < K;", "k < K / 8 * 8;"),),
                "loses_the_last_rows": (("i < M;", "i < M / 4 * 4;"),),
                "one_k_block": (("k < K;", "k < std::min<int64_t>(K, 128);"),),
            },
        )
    },
    recipe={"family": "matmul"},
)
