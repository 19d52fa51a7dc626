# SPDX-License-Identifier: Apache-2.0
"""rope: rotary position embedding of ``x[batch, seq, dim]``, split-half layout."""

from __future__ import annotations

import inspect
import math
import random
from functools import partial

import torch

from benchmarks import cases, fuzz
from benchmarks.cases import Row
from benchmarks.cpp import edits, paste
from benchmarks.families import traffic
from benchmarks.generate import Domain, maker
from kernelcoder.task import Arg, Case, Task


def reference(x: torch.Tensor, base: float) -> torch.Tensor:
    seq, dim = x.shape[-2:]
    half = dim // 2
    frequency = base ** (-2 * torch.arange(half, dtype=x.dtype) / dim)
    angle = torch.arange(seq, dtype=x.dtype)[:, None] * frequency
    cos, sin = torch.cos(angle), torch.sin(angle)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def magnitude(x: torch.Tensor, base: float) -> torch.Tensor:
    """``(|first| + |second|) (1 + angle)``: an angle computed in float is off in proportion."""
    seq, dim = x.shape[-2:]
    half = dim // 2
    frequency = base ** (-2 * torch.arange(half, dtype=x.dtype) / dim)
    angle = torch.arange(seq, dtype=x.dtype)[:, None] * frequency
    size = (x[..., :half].abs() + x[..., half:].abs()) * (1 + angle)
    return torch.cat([size, size], dim=-1)


def shapes_of(batch: int, seq: int, dim: int) -> dict[str, tuple[int, ...]]:
    """Shapes by argument name."""
    return dict.fromkeys(("x", "y"), (batch, seq, dim))


def shapes(rng: random.Random, size: str) -> dict[str, tuple[int, ...]]:
    """Fresh sizes; dim is twice an odd number but in "blocks" (multiples of 64) and "middle", and a
    "grid" has several batches and positions."""
    if size == "empty":
        return rng.choice((shapes_of(0, 5, 6), shapes_of(2, 0, 10)))
    if size == "one":
        return shapes_of(1, 1, 2)
    if size == "thin":
        return shapes_of(3, cases.odd(rng, 9, 33), 2)
    if size == "big":
        return shapes_of(3, cases.odd(rng, 9, 13), 2 * cases.odd(rng, 1301, 1501))
    if size == "tall":
        return shapes_of(2, cases.odd(rng, 2049, 2301), 2 * cases.odd(rng, 9, 11))
    if size == "blocks":
        return shapes_of(rng.choice((1, 2)), 64, cases.blocks(rng, 64, 256))
    if size == "middle":
        rows, length = cases.middle(rng)
        return shapes_of(1, rows, length + 1)
    if size == "deep":
        return shapes_of(1, cases.odd(rng, 15, 19), 2 * cases.odd(rng, 2049, 2499))
    if size == "short":
        return shapes_of(3, cases.odd(rng, 33, 99), rng.choice((2, 4, 6)))
    if size == "past":
        return shapes_of(2, 17, 2 ** rng.randint(6, 9) + 2)
    if size == "composite":
        return shapes_of(1, 5, 2 * cases.COMPOSITE)
    if size == "vector":  # one position: nothing turns, but there is a batch
        return shapes_of(cases.odd(rng, 3, 9), 1, 2 * cases.odd(rng, 9, 35))
    return shapes_of(rng.choice((2, 3, 5)), cases.odd(rng, 17, 41), 2 * cases.odd(rng, 9, 35))


def scalars(rng: random.Random) -> dict[str, float]:
    """A base from 100 to 1e6, log-uniform."""
    return {"base": 100.0 * 1e4 ** rng.random()}


def holdout(rng: random.Random) -> tuple[Case, ...]:
    """Fresh hidden cases."""
    illegal = ("special",)
    planned = cases.hidden(rng, (*cases.HIDDEN, *EXTRA), shapes, scalars, illegal)
    samples = fuzz.draw(rng, fuzz.families(illegal), ranks=(3,))
    return planned + fuzz.hidden(samples, _even, lambda: scalars(rng))


def _even(sizes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return shapes_of(*sizes[:2], sizes[2] + sizes[2] % 2)


# Half precision at large angles.
EXTRA = (Row("tall", "f16", "strided", "normal"),)

SOLUTION = paste(
    ["sincos"],
    """
// The table of a few positions is made once and used for every batch.
constexpr int64_t POSITIONS = 16;

template <class T>
static void rotate(const T *in, int64_t stride, int64_t half, const float *cosine,
                   const float *sine, T *out) {
  int64_t i = 0;
  if constexpr (std::is_same_v<T, float>)
    if (stride == 1)
      for (; i + W <= half; i += W) {
        const V a = get(in + i), b = get(in + half + i), c = get(cosine + i), s = get(sine + i);
        put(out + i, a * c - b * s);
        put(out + half + i, b * c + a * s);
      }
  for (; i < half; ++i) {
    const float a = float(in[i * stride]), b = float(in[(half + i) * stride]);
    out[i] = T(a * cosine[i] - b * sine[i]);
    out[half + i] = T(b * cosine[i] + a * sine[i]);
  }
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double base) {
  const int64_t batch = x->shape[0], seq = x->shape[1], dim = x->shape[2], half = dim / 2;
  if (kc::numel(y) == 0) return;
  std::vector<double> frequency(half);
  for (int64_t i = 0; i < half; ++i) frequency[i] = std::pow(base, -2.0 * double(i) / double(dim));
  std::vector<float> cosine(POSITIONS * half), sine(POSITIONS * half);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *in = kc::data<T>(x);
    T *out = kc::data<T>(y);
    for (int64_t s0 = 0; s0 < seq; s0 += POSITIONS) {
      const int64_t some = std::min(POSITIONS, seq - s0);
      for (int64_t s = 0; s < some; ++s)
        sincos_row(frequency.data(), double(s0 + s), half, &cosine[s * half], &sine[s * half]);
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t s = 0; s < some; ++s)
          rotate(in + b * x->strides[0] + (s0 + s) * x->strides[1], x->strides[2], half,
                 &cosine[s * half], &sine[s * half], out + (b * seq + s0 + s) * dim);
    }
  });
}
""",
)

PLAIN = """#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, DLTensor *y, double base) {
  const int64_t batch = x->shape[0], seq = x->shape[1], dim = x->shape[2], half = dim / 2;
  const int64_t sb = x->strides[0], ss = x->strides[1], sd = x->strides[2];
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t s = 0; s < seq; ++s) {
        const T *in = kc::data<T>(x) + b * sb + s * ss;
        T *out = kc::data<T>(y) + (b * seq + s) * dim;
        for (int64_t i = 0; i < half; ++i) {
          const int64_t i1 = i, i2 = half + i;
          const double angle = double(s) * std::pow(base, -2.0 * double(i) / double(dim));
          const float c = float(std::cos(angle)), t = float(std::sin(angle));
          const float first = float(in[i1 * sd]), second = float(in[i2 * sd]);
          out[i1] = T(first * c - second * t);
          out[i2] = T(second * c + first * t);
        }
      }
  });
}
"""

ARGS = (Arg("x", ("batch", "seq", "dim")),)
TASK = Task(
    suite="core",
    name="rope",
    title="Rotary position embedding",
    category="position",
    inputs=ARGS,
    outputs=(Arg("y", ("batch", "seq", "dim")),),
    scalars=("base",),
    description=(
        "Rotary position embedding, split-half layout: with half = dim / 2 and "
        "angle[s, i] = s * base**(-2 * i / dim), element i of the first half and element i of the "
        "second half are rotated: y1 = x1 * cos - x2 * sin, y2 = x2 * cos + x1 * sin. The position "
        "s is the index along seq; dim is even. Eager PyTorch has no such operator and runs the "
        "reference line by line, frequencies and angles anew in every call."
    ),
    properties=("rows", "scale", "odd"),
    reference_source=inspect.getsource(reference),
    reference=reference,
    make_inputs=maker(ARGS, {"x": Domain()}),
    visible=cases.visible(
        [
            (cases.VISIBLE[0], shapes_of(2, 5, 8), {"base": 10000.0}),
            (cases.VISIBLE[1], shapes_of(3, 9, 22), {"base": 500.0}),
            (cases.VISIBLE[2], shapes_of(1, 17, 34), {"base": 50000.0}),
        ]
    ),
    holdout=holdout,
    timing=(
        cases.timed("hot", shapes_of(8, 256, 64), {"base": 10000.0}),
        cases.timed("cold", shapes_of(32, 2048, 128), {"base": 10000.0}),
    ),
    bytes=partial(traffic, ("x", "y")),
    flops=lambda case: 3 * math.prod(case.shapes["x"]),
    magnitude=magnitude,
    subnormals="kept",
    solutions={"cpu": SOLUTION},
    wrong={
        "cpu": edits(
            PLAIN,
            {
                "interleaved": (("i1 = i, i2 = half + i", "i1 = 2 * i, i2 = 2 * i + 1"),),
                "ignores_base": (("std::pow(base,", "std::pow(10000.0,"),),
                "turns_backwards": (("t = float(std::sin(angle))", "t = -float(std::sin(angle))"),),
                "counts_from_one": (("double(s) *", "double(s + 1) *"),),
                "position_over_all_rows": (("double(s) *", "double(b * seq + s) *"),),
                "half_the_exponent": (("-2.0 * double(i)", "-1.0 * double(i)"),),
                "angle_in_half": (
                    ("angle = double(s) *", "angle = kc::half(double(s) *"),
                    ("double(dim));", "double(dim)));"),
                ),
                "ignores_strides": (("b * sb + s * ss", "(b * seq + s) * dim"), (" * sd]", "]")),
                "second_half_untouched": (
                    ("out[i2] = T(second * c + first * t)", "out[i2] = T(second)"),
                ),
            },
        )
    },
    recipe={"family": "rope"},
)
