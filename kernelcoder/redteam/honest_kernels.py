# SPDX-License-Identifier: Apache-2.0
"""Honest kernels for other operators, in textbook and in careful forms: no alarm on rounding."""

from __future__ import annotations

from kernelcoder.redteam.entry import HEAD, Honest, pointwise, softmax

_ROW = (
    HEAD
    + """
%s
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      const auto at = [&](int64_t i) { return float(in[i * step]); };
      float result = 0;
      %s
      kc::data<T>(y)[r] = T(result);
    }
  });
}
"""
)
_BINARY = (
    HEAD
    + """
extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  kc::dispatch(a->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = kc::numel(a) ? kc::rows(a) : 0, n = kc::cols(a);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {
        const float p = float(kc::data<T>(a)[kc::row_offset(a, r) + i * kc::col_stride(a)]);
        const float q = float(kc::data<T>(b)[kc::row_offset(b, r) + i * kc::col_stride(b)]);
        kc::data<T>(y)[r * n + i] = T(%s);
      }
  });
}
"""
)
_MATMUL = (
    HEAD
    + """
%s
extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  kc::dispatch(a->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t m = a->shape[0], k = a->shape[1], n = b->shape[1];
    const auto left = [&](int64_t i, int64_t p) {
      return float(kc::data<T>(a)[i * a->strides[0] + p * a->strides[1]]);
    };
    const auto right = [&](int64_t p, int64_t j) {
      return float(kc::data<T>(b)[p * b->strides[0] + j * b->strides[1]]);
    };
    T *out = kc::data<T>(y);
    %s
  });
}
"""
)
_NORM = (
    HEAD
    + """
extern "C" void kernel(const DLTensor *x, const DLTensor *w, %sDLTensor *y, double eps) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
    const auto weight = [&](int64_t i) { return float(kc::data<T>(w)[i * kc::col_stride(w)]); };
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * n;
      const auto at = [&](int64_t i) { return float(in[i * step]); };
      %s
    }
  });
}
"""
)

_ELEMENTS = (
    Honest("exp", "the library's exponential", pointwise(value="std::exp(v)"), "exp"),
    Honest(
        "exp-by-exp2",
        "exp2 of a product in double",
        pointwise(value="float(std::exp2(double(v) * 1.4426950408889634))"),
        "exp",
    ),
    Honest(
        "gelu-erf",
        "the textbook form with erf",
        pointwise(value="0.5f * v * (1.0f + std::erf(v * 0.70710678f))"),
        "gelu",
    ),
    Honest(
        "gelu-erfc",
        "the form with erfc",
        pointwise(value="0.5f * v * std::erfc(-v * 0.70710678f)"),
        "gelu",
    ),
    Honest("silu", "v / (1 + exp(-v))", pointwise(value="v / (1.0f + std::exp(-v))"), "silu"),
    Honest(
        "sigmoid-by-sign",
        "two branches, so that nothing overflows",
        pointwise(
            value="v >= 0 ? 1.0f / (1.0f + std::exp(-v)) : [&] { const float e = std::exp(v);"
            " return v != v ? v : e / (1.0f + e); }()"
        ),
        "sigmoid",
    ),
    Honest(
        "tanh-by-expm1",
        "through expm1",
        pointwise(
            value="[&] { if (v != v) return v; const float a = std::min(std::fabs(v), 20.0f);"
            " const float e = std::expm1(2.0f * a);"
            " return std::copysign(e / (e + 2.0f), v); }()"
        ),
        "tanh",
    ),
    Honest("log", "the library's logarithm", pointwise(value="std::log(v)"), "log"),
    Honest("sqrt", "the library's root", pointwise(value="std::sqrt(v)"), "sqrt"),
    Honest(
        "abs-by-bits",
        "clears the sign bit of the float's bits",
        pointwise(
            value="[&] { uint32_t u; std::memcpy(&u, &v, 4); u &= 0x7fffffffu; float f;"
            " std::memcpy(&f, &u, 4); return f; }()"
        ),
        "abs",
    ),
    Honest(
        "relu-intrinsic",
        "max_ss with operands in the order that keeps NaN",
        pointwise(value="_mm_cvtss_f32(_mm_max_ss(_mm_setzero_ps(), _mm_set_ss(v)))"),
    ),
    Honest("add", "two inputs with strides of their own", _BINARY % "p + q", "elementwise_add"),
    Honest("swiglu", "gate over one plus exp", _BINARY % "p / (1.0f + std::exp(-p)) * q", "swiglu"),
)

_SUMS = (
    Honest(
        "sum-in-order",
        "one float accumulator",
        _ROW % ("", "for (int64_t i = 0; i < n; ++i) result += at(i);"),
        "sum_last",
    ),
    Honest(
        "sum-backwards",
        "from the end",
        _ROW % ("", "for (int64_t i = n; i-- > 0;) result += at(i);"),
        "sum_last",
    ),
    Honest(
        "sum-in-double",
        "a double accumulator",
        _ROW % ("", "double s = 0; for (int64_t i = 0; i < n; ++i) s += at(i); result = float(s);"),
        "sum_last",
    ),
    Honest(
        "sum-compensated",
        "Kahan's algorithm",
        _ROW
        % (
            "",
            "float c = 0; for (int64_t i = 0; i < n; ++i) { const float t = at(i) - c,"
            " s = result + t; c = std::isfinite(s) ? (s - result) - t : 0; result = s; }",
        ),
        "sum_last",
    ),
    Honest(
        "sum-pairwise",
        "recursive halves",
        _ROW
        % (
            "template <class F> static float pairs(const F &f, int64_t a, int64_t b) {\n"
            "  return b - a < 1 ? 0.0f : b - a == 1 ? f(a) : pairs(f, a, (a + b) / 2) +"
            " pairs(f, (a + b) / 2, b);\n}",
            "result = pairs(at, 0, n);",
        ),
        "sum_last",
    ),
    Honest(
        "sum-of-sixteen",
        "sixteen accumulators",
        _ROW
        % (
            "",
            "float s[16] = {}; for (int64_t i = 0; i < n; ++i) s[i % 16] += at(i);"
            " for (float p : s) result += p;",
        ),
        "sum_last",
    ),
    Honest(
        "mean-running",
        "divides every term first",
        _ROW % ("", "for (int64_t i = 0; i < n; ++i) result += at(i); result /= float(n);"),
        "mean_last",
    ),
    Honest(
        "max-keeping-nan",
        "a loop that keeps NaN",
        _ROW
        % (
            "",
            "result = at(0); for (int64_t i = 1; i < n; ++i) if (at(i) > result ||"
            " at(i) != at(i)) { result = at(i); if (result != result) break; }",
        ),
        "max_last",
    ),
    Honest(
        "matmul-textbook",
        "three loops",
        _MATMUL
        % (
            "",
            """for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += left(i, p) * right(p, j);
        out[i * n + j] = T(sum);
      }""",
        ),
        "matmul",
    ),
    Honest(
        "matmul-rows",
        "row by row into a float buffer",
        _MATMUL
        % (
            "",
            """std::vector<float> row(n);
    for (int64_t i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), 0.0f);
      for (int64_t p = 0; p < k; ++p)
        for (int64_t j = 0; j < n; ++j) row[j] = std::fma(left(i, p), right(p, j), row[j]);
      for (int64_t j = 0; j < n; ++j) out[i * n + j] = T(row[j]);
    }""",
        ),
        "matmul",
    ),
)

_NORMS = (
    Honest("softmax", "three passes with plain loops", softmax(), "softmax"),
    Honest("softmax-in-double", "accumulates in double", softmax(accumulator="double"), "softmax"),
    Honest(
        "layernorm-two-passes",
        "mean, then variance",
        _NORM
        % (
            "const DLTensor *b, ",
            """
      float mean = 0, var = 0;
      for (int64_t i = 0; i < n; ++i) mean += at(i);
      mean /= n;
      for (int64_t i = 0; i < n; ++i) var += (at(i) - mean) * (at(i) - mean);
      const float scale = 1.0f / std::sqrt(var / n + float(eps));
      for (int64_t i = 0; i < n; ++i)
        out[i] = T((at(i) - mean) * scale * weight(i) +
                   float(kc::data<T>(b)[i * kc::col_stride(b)]));""",
        ),
        "layernorm",
    ),
    Honest(
        "layernorm-welford",
        "Welford's running variance",
        _NORM
        % (
            "const DLTensor *b, ",
            """
      float mean = 0, squares = 0;
      for (int64_t i = 0; i < n; ++i) {
        const float d = at(i) - mean;
        mean += d / float(i + 1);
        squares += d * (at(i) - mean);
      }
      const float scale = 1.0f / std::sqrt(squares / n + float(eps));
      for (int64_t i = 0; i < n; ++i)
        out[i] = T((at(i) - mean) * scale * weight(i) +
                   float(kc::data<T>(b)[i * kc::col_stride(b)]));""",
        ),
        "layernorm",
    ),
    Honest(
        "rmsnorm",
        "one pass and a scale",
        _NORM
        % (
            "",
            """
      float squares = 0;
      for (int64_t i = 0; i < n; ++i) squares += at(i) * at(i);
      const float scale = 1.0f / std::sqrt(squares / n + float(eps));
      for (int64_t i = 0; i < n; ++i) out[i] = T(at(i) * scale * weight(i));""",
        ),
        "rmsnorm",
    ),
    Honest(
        "rope",
        "frequencies by the library's power function, in float",
        HEAD
        + """
extern "C" void kernel(const DLTensor *x, DLTensor *y, double base) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    if (!kc::numel(x)) return;
    const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x), half = n / 2;
    const int64_t seq = x->shape[x->ndim - 2];
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * n;
      for (int64_t i = 0; i < half; ++i) {
        const float angle = float(r % seq) * std::pow(float(base), -2.0f * float(i) / float(n));
        const float c = std::cos(angle), s = std::sin(angle);
        const float p = float(in[i * step]), q = float(in[(i + half) * step]);
        out[i] = T(p * c - q * s), out[i + half] = T(q * c + p * s);
      }
    }
  });
}
""",
        "rope",
    ),
)

ENTRIES = (*_ELEMENTS, *_SUMS, *_NORMS)
