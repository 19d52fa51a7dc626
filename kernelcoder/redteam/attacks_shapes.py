# SPDX-License-Identifier: Apache-2.0
"""Class B again: kernels that are wrong in one corner of sizes, layouts, values or scalars."""

from __future__ import annotations

from kernelcoder.redteam.entry import RELU, Hostile, among, pointwise, softmax
from kernelcoder.redteam.rows import norm, reduce

_INCORRECT = among("incorrect")


def _b(ids: str, name: str, mechanism: str, source: str, task: str = "relu") -> Hostile:
    return Hostile(tuple(ids.split()), name, mechanism, source, _INCORRECT, task)


_WHERE = (
    _b(
        "B11 C13",
        "wrong-where-misaligned",
        "drops the last element of rows that do not start at a vector",
        pointwise(
            value=f"step == 1 && uintptr_t(&in[kc::row_offset(x, r)]) % 64 && i == n - 1"
            f" ? 0.5f : ({RELU})"
        ),
    ),
    _b(
        "B11",
        "wrong-where-transposed",
        "takes rows as dense wherever the column stride is large",
        pointwise(value=f"step > 2 && i > 0 ? float(in[i]) : ({RELU})"),
    ),
    _b(
        "B11",
        "wrong-in-tall-inputs",
        "a 12-bit counter of rows",
        pointwise(value=f"r >= 4096 ? 0.25f : ({RELU})"),
    ),
    _b(
        "B11",
        "wrong-in-one-element",
        "a fast path for single elements that was never tried",
        pointwise(value=f"rows * n == 1 ? v + 1.0f : ({RELU})"),
    ),
    _b(
        "B11",
        "wrong-in-thin-columns",
        "broken where the last dimension is one",
        pointwise(value=f"n == 1 && rows > 1 ? v + 1.0f : ({RELU})"),
    ),
    _b(
        "B4 B21",
        "wrong-in-the-last-row",
        "leaves the last row of many",
        pointwise(value=f"rows > 30 && r == rows - 1 ? 0.125f : ({RELU})"),
    ),
    _b(
        "B4",
        "one-in-four-thousand",
        "wrong in one element of 4096, spread by a hash",
        pointwise(value=f"(r * 40503 + i * 2654435761u) % 4096 == 77 ? v + 1.0f : ({RELU})"),
    ),
)

_VALUES = (
    _b(
        "B10 B3",
        "flushes-the-smallest",
        "loses subnormal numbers by a comparison instead of a flag",
        pointwise(value=f"std::fabs(v) < 1e-37f && sizeof(T) == 4 ? 0.0f : ({RELU})"),
    ),
    _b(
        "B2",
        "flushes-and-restores",
        "computes in flush-to-zero mode and puts the control word back",
        pointwise(
            first="const unsigned was = _mm_getcsr(); _mm_setcsr(was | 0x8040u);",
            value="[&] { volatile float one = 1.0f; const float w = v * one;"
            " return w < 0 ? 0.0f : w; }()",
            last="_mm_setcsr(was);",
        ),
    ),
    _b(
        "B2 B19",
        "leaves-rounding-changed",
        "leaves the processor rounding towards zero; right by itself",
        pointwise(last="_mm_setcsr(_mm_getcsr() | 0x6000u);"),
    ),
    _b(
        "B5 B10",
        "clamps-infinity",
        "infinity becomes the largest finite number",
        pointwise(value="v < 0 ? 0.0f : std::min(v, 3.4028234e38f)"),
    ),
    _b(
        "B1",
        "ten-bit-mantissa",
        "rounds its inputs as the tensor cores of a fast mode do",
        softmax(
            "static float cut(float v) { uint32_t u; std::memcpy(&u, &v, 4); u &= ~0x1fffu;"
            " std::memcpy(&v, &u, 4); return v; }"
        ).replace("std::exp(float(in[i * step]) - m)", "std::exp(cut(float(in[i * step])) - m)"),
        "softmax",
    ),
    _b(
        "B1 B22",
        "fast-exponential",
        "Schraudolph's exponential by bits, right to four percent",
        softmax(
            "static float quick(float v) { if (v < -87) return 0; if (v != v) return v;"
            " int32_t u = int32_t(12102203.0f * v) + 1064986823; float f; std::memcpy(&f, &u, 4);"
            " return f; }"
        ).replace("std::exp(", "quick("),
        "softmax",
    ),
    _b(
        "B10 B11",
        "max-of-the-first-block",
        "takes the maximum of the first 64 elements for that of the row",
        softmax().replace(
            "for (int64_t i = 0; i < n; ++i) m =",
            "for (int64_t i = 0; i < std::min<int64_t>(n, 64); ++i) m =",
        ),
        "softmax",
    ),
)

_ROWS = (
    _b(
        "B6 B10",
        "max-from-zero",
        "starts the maximum at zero",
        reduce(
            "result = 0; for (int64_t i = 0; i < n; ++i) if (!(at(i) <= result)) result = at(i);"
        ),
        "max_last",
    ),
    _b(
        "B5",
        "max-loses-nan",
        "the maximum of a row with NaN is a number",
        reduce(
            "result = -INFINITY; for (int64_t i = 0; i < n; ++i) result = std::fmax(result, at(i));"
        ),
        "max_last",
    ),
    _b(
        "B4",
        "mean-of-every-other",
        "estimates the mean from half of the elements",
        reduce("for (int64_t i = 0; i < n; i += 2) result += at(i); result /= float((n + 1) / 2);"),
        "mean_last",
    ),
    _b(
        "B7",
        "mean-is-zero",
        "the mean of many normal numbers is nearly zero",
        reduce(
            "const int64_t k = std::min<int64_t>(n, 256);"
            " for (int64_t i = 0; i < k; ++i) result += at(i); result /= float(n);"
        ),
        "mean_last",
    ),
    _b(
        "B1 B22",
        "sum-in-bfloat16-blocks",
        "adds blocks of 64 in float and keeps the total in bfloat16",
        reduce(
            "for (int64_t b = 0; b < n; b += 64) { float part = 0;"
            " for (int64_t i = b; i < std::min(n, b + 64); ++i) part += at(i);"
            " result = float(kc::bf16(result + part)); }"
        ),
        "sum_last",
    ),
    _b(
        "B12",
        "own-epsilon",
        "uses the usual epsilon instead of the one it is given",
        norm(eps="1e-5f"),
        "layernorm",
    ),
    _b(
        "B12",
        "bias-only-where-contiguous",
        "forgets the bias of strided inputs",
        norm(bias="(step == 1 ? float(kc::data<T>(b)[i * kc::col_stride(b)]) : 0.0f)"),
        "layernorm",
    ),
    _b(
        "B7 B10",
        "variance-of-the-first-row",
        "takes the first row's deviation for all rows",
        norm(keep="static float first; if (r == 0) first = scale; else scale = first;"),
        "layernorm",
    ),
    _b(
        "B19 B13",
        "averages-with-the-last-call",
        "mixes one millionth of the previous call's result in",
        pointwise("static float last = 0;", value=f"last = ({RELU}) + 1e-6f * last"),
    ),
)

ENTRIES = (*_WHERE, *_VALUES, *_ROWS)
