# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding recipes: x[batch, seq, dim], first half paired with second half."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import frame, slots
from kernelcoder.models.recipes.slots import Params, Slot

_ANGLES = Slot(
    "angles",
    ("sincos", "recurrence", "resync", "float-sincos", "float-recurrence"),
    (5, 4, 3, 1, 1),
    "sincos",
)
_TABLE = Slot("table", ("call", "row"), (7, 3), "call")
_PAIRING = Slot("pairing", ("split", "interleaved"), (12, 1), "split")

# Each fills cosines and sines of `position` for the `half` frequencies. The recurrence turns the
# angle of the previous position by one step: (c, s) <- (c ct - s st, s ct + c st).
_SINCOS = """
struct Angles {
  std::vector<REAL> step, c, s;
  Angles(int64_t half, double base) : step(half), c(half), s(half) {
    for (int64_t i = 0; i < half; ++i) step[i] = REAL(std::pow(base, -double(i) / double(half)));
  }
  void at(int64_t position) {
    for (size_t i = 0; i < step.size(); ++i) {
      const REAL angle = REAL(position) * step[i];
      c[i] = std::cos(angle);
      s[i] = std::sin(angle);
    }
  }
};
"""
_TURN = """
struct Angles {
  int64_t now = -1;
  std::vector<REAL> step, c, s, ct, st;
  Angles(int64_t half, double base) : step(half), c(half), s(half), ct(half), st(half) {
    for (int64_t i = 0; i < half; ++i) {
      step[i] = REAL(std::pow(base, -double(i) / double(half)));
      ct[i] = std::cos(step[i]);
      st[i] = std::sin(step[i]);
    }
  }
  void at(int64_t position) {
    const int64_t half = int64_t(step.size());
    if (position == now + 1 && @KEEP@) {
      REAL *pc = c.data(), *ps = s.data();
      const REAL *pct = ct.data(), *pst = st.data();
#pragma GCC ivdep
      for (int64_t i = 0; i < half; ++i) {
        const REAL turned = pc[i] * pct[i] - ps[i] * pst[i];
        ps[i] = ps[i] * pct[i] + pc[i] * pst[i];
        pc[i] = turned;
      }
    } else {
      for (int64_t i = 0; i < half; ++i) {
        c[i] = std::cos(REAL(position) * step[i]);
        s[i] = std::sin(REAL(position) * step[i]);
      }
    }
    now = position;
  }
};
"""
_KEEP = {
    "recurrence": "now >= 0",
    "resync": "position % 64 != 0",
    "float-recurrence": "now >= 0",
}

_TURN_ROW = {
    "split": """
// One row: (a, b) = (first half, second half) turns to (a c - b s, b c + a s).
void turn(const float *x, const float *c, const float *s, float *y, int64_t half, bool stream) {
  const float *b = x + half;
  float *z = y + half;
  int64_t i = 0;
  for (; i + W * UNROLL <= half; i += W * UNROLL)
#pragma GCC unroll @UNROLL@
    for (int u = 0; u < UNROLL; ++u) {
      const int64_t j = i + u * W;
      const V p = load(x + j), q = load(b + j), ct = load(c + j), st = load(s + j);
      put(y + j, p * ct - q * st, stream);
      put(z + j, q * ct + p * st, stream);
    }
@TAIL@}
""",
    "interleaved": """
// One row: (a, b) = (even, odd) neighbors turn to (a c - b s, b c + a s).
void turn(const float *x, const float *c, const float *s, float *y, int64_t half, bool) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    y[2 * i] = a * c[i] - b * s[i];
    y[2 * i + 1] = b * c[i] + a * s[i];
  }
}
""",
}
_TAIL = """  for (; i < half; ++i) {
    y[i] = x[i] * c[i] - b[i] * s[i];
    z[i] = b[i] * c[i] + x[i] * s[i];
  }
"""
_BY_CALL = """  std::vector<float> c(seq * half), s(seq * half);
  Angles angles(half, base);
  for (int64_t position = 0; position < seq; ++position) {
    angles.at(position);
    std::copy(angles.c.begin(), angles.c.end(), c.begin() + position * half);
    std::copy(angles.s.begin(), angles.s.end(), s.begin() + position * half);
  }
"""
_KERNEL = """
template <class T>
void rope(const DLTensor *x, DLTensor *y, double base) {
  const int64_t dim = kc::cols(y), half = dim / 2, seq = y->ndim > 1 ? y->shape[y->ndim - 2] : 1;
  const int64_t batches = kc::rows(y) / seq, step = @STEP@;
  const T *in = kc::data<T>(x);
  T *out = kc::data<T>(y);
@TABLE@@PRAGMA@  for (int64_t batch = 0; batch < batches; ++batch) {
    std::vector<float> from(dim), to(dim);
@LOCAL@    for (int64_t position = 0; position < seq; ++position) {
      const int64_t row = batch * seq + position;
@LOOKUP@      const float *p = floats(in + @ROW@, step, dim, from.data());
      if constexpr (std::is_same_v<T, float>) {
        float *q = out + row * dim;
        turn(p, pc, ps, q, half, half % W == 0 && streamed(q, kc::numel(y)));
      } else {
        turn(p, pc, ps, to.data(), half, false);
        kc::store(to.data(), dim, out + row * dim);
      }
    }
  }@FENCE@
}

}  // namespace

extern "C" void kernel(const DLTensor *x, DLTensor *y, double base) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) { rope<decltype(zero)>(x, y, base); });
}
"""
_LOOKUP = {
    "call": "      const float *pc = c.data() + position * half;\n"
    "      const float *ps = s.data() + position * half;\n",
    "row": "      angles.at(position);\n"
    "      std::copy(angles.c.begin(), angles.c.end(), c.begin());\n"
    "      std::copy(angles.s.begin(), angles.s.end(), s.begin());\n"
    "      const float *pc = c.data(), *ps = s.data();\n",
}


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    tail = Slot("tail", ("scalar", "none"), (10, 1), "scalar")
    return (
        slots.LANES, slots.UNROLL, slots.THREADS, slots.LAYOUT, slots.ALIGN, tail, slots.STREAM,
        _ANGLES, _TABLE, _PAIRING,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The C++ file."""
    angles, by_call = str(params["angles"]), params["table"] == "call"
    body = _SINCOS if angles.endswith("sincos") else _TURN.replace("@KEEP@", _KEEP[angles])
    marks = {
        "TAIL": "" if params["tail"] == "none" else _TAIL,
        "UNROLL": str(params["unroll"]),
        "STEP": frame.col_stride(params, "x"),
        "TABLE": _BY_CALL if by_call else "",
        "PRAGMA": frame.parallel(params, "kc::numel(y)"),
        "LOCAL": ""
        if by_call
        else "    Angles angles(half, base);\n    std::vector<float> c(half), s(half);\n",
        "LOOKUP": _LOOKUP[str(params["table"])],
        "ROW": frame.row_offset(params, "x", "row", "dim"),
        "FENCE": frame.fence(params),
    }
    text = _TURN_ROW[str(params["pairing"])] + _KERNEL
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return (
        frame.head(
            "rope",
            "pairs (x[i], x[i + dim/2]) turned by position / base^(2i/dim)",
            params,
        )
        + frame.streaming(params)
        + frame.threads(params)
        + frame.FLOATS
        + body.replace("REAL", "float" if angles.startswith("float") else "double")
        + text
    )
