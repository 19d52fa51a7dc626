# SPDX-License-Identifier: Apache-2.0
"""C++ text of the row normalization recipes; ``@MARK@`` is filled in by rownorm.py."""

from __future__ import annotations

# Sum of f(x) along a row. The accumulator slot chooses one of three.
_SUM_LOOP = """  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll @UNROLL@
    for (int u = 0; u < UNROLL; ++u) {{ {add_u} }}
  for (; i + W <= n; i += W) {{ {add} }}
  @TAIL@ {{ {add_part} }}
  for (int u = 1; u < UNROLL; ++u) acc[0] += acc[u];
  {scalar} sum = 0;
  for (int l = 0; l < W; ++l) sum += acc[0][l];
  return sum;
"""
# Lanes past the end are filled with what f maps to zero.
_FLOAT = "  V acc[UNROLL] = {};\n" + _SUM_LOOP.format(
    add_u="acc[u] += f(load(x + i + u * W));",
    add="acc[0] += f(load(x + i));",
    add_part="acc[0] += f(load_part(x + i, n - i, zero));",
    scalar="float",
)
_DOUBLE = (
    "  typedef double D __attribute__((vector_size(8 * W)));\n  D acc[UNROLL] = {};\n"
    + _SUM_LOOP.format(
        add_u="acc[u] += __builtin_convertvector(f(load(x + i + u * W)), D);",
        add="acc[0] += __builtin_convertvector(f(load(x + i)), D);",
        add_part="acc[0] += __builtin_convertvector(f(load_part(x + i, n - i, zero)), D);",
        scalar="double",
    )
)
_ELEMENT = """  T sum = T(0.0f);  // in the element type, one after another
  for (int64_t i = 0; i < n; ++i) sum = T(float(sum) + f(splat(x[i]))[0]);
  return float(sum);
"""
ACC = {"float": _FLOAT, "double": _DOUBLE, "element": _ELEMENT}

# Sums of f(x) and of its square in one pass, by the same accumulators.
_PAIR_LOOP = """  using A = {type};
  A first[UNROLL] = {{}}, second[UNROLL] = {{}};
  const auto take = [&](int u, V x) {{
    const V v = f(x);
    first[u] += __builtin_convertvector(v, A);
    second[u] += __builtin_convertvector(v * v, A);
  }};
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll @UNROLL@
    for (int u = 0; u < UNROLL; ++u) take(u, load(x + i + u * W));
  for (; i + W <= n; i += W) take(0, load(x + i));
  @TAIL@ take(0, load_part(x + i, n - i, zero));
  for (int u = 0; u < UNROLL; ++u)
    for (int l = 0; l < W; ++l) sum += first[u][l], squares += second[u][l];
"""
_WIDE = "  typedef double D __attribute__((vector_size(8 * W)));\n"
_PAIR_ELEMENT = """  T a = T(0.0f), b = T(0.0f);  // in the element type, one after another
  for (int64_t i = 0; i < n; ++i) {
    const float v = f(splat(x[i]))[0];
    a = T(float(a) + v);
    b = T(float(b) + v * v);
  }
  sum = float(a), squares = float(b);
"""
PAIR_ACC = {
    "float": _PAIR_LOOP.format(type="V"),
    "double": _WIDE + _PAIR_LOOP.format(type="D"),
    "element": _PAIR_ELEMENT,
}
PAIR = """
// Sums of f(x[i]) and of its square in one pass; `zero` is an input that f maps to 0.
template <class T, class F>
inline void row_sums(const float *x, int64_t n, float zero, F f, double &sum, double &squares) {
  sum = squares = 0.0;
@PAIR_ACC@}
"""

SUM = """
// Sum of f(x[i]); `zero` is an input that f maps to 0.
template <class T, class F>
inline double row_sum(const float *x, int64_t n, float zero, F f) {
@ACC@}

// y[i] = f(x[i], i), W elements at once.
template <class F>
inline void row_map(const float *x, float *y, int64_t n, bool stream, F f) {
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll @UNROLL@
    for (int u = 0; u < UNROLL; ++u) put(y + i + u * W, f(load(x + i + u * W), i + u * W), stream);
  for (; i + W <= n; i += W) put(y + i, f(load(x + i), i), stream);
  @TAIL@ store_part(y + i, n - i, f(load_part(x + i, n - i, 0.0f), i));
}
"""

SOFTMAX_ROW = """
inline float row_max(const float *x, int64_t n) {
  V acc[UNROLL];
  for (int u = 0; u < UNROLL; ++u) acc[u] = splat(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll @UNROLL@
    for (int u = 0; u < UNROLL; ++u) acc[u] = max(acc[u], load(x + i + u * W));
  for (; i + W <= n; i += W) acc[0] = max(acc[0], load(x + i));
  @TAIL@ acc[0] = max(acc[0], load_part(x + i, n - i, x[i]));
  for (int u = 1; u < UNROLL; ++u) acc[0] = max(acc[0], acc[u]);
  float best = acc[0][0];
  for (int l = 1; l < W; ++l) best = max(splat(best), splat(acc[0][l]))[0];
  return best;
}

template <class T>
void normalize(const float *x, float *y, int64_t n, bool stream) {
@ROW@}
"""

_MINUS_INF = "-std::numeric_limits<float>::infinity()"
SOFTMAX = {
    "three-pass": """  const float top = row_max(x, n);
  row_map(x, y, n, false, [=](V v, int64_t) { return exp(v - top); });
  const float scale = float(1.0 / row_sum<T>(y, n, 0.0f, [](V v) { return v; }));
  row_map(y, y, n, stream, [=](V v, int64_t) { return v * scale; });
""",
    "recompute": f"""  const float top = row_max(x, n);
  // The exponentials are computed twice so that y is written only once.
  const auto term = [=](V v) {{ return exp(v - top); }};
  const float scale = float(1.0 / row_sum<T>(x, n, {_MINUS_INF}, term));
  row_map(x, y, n, stream, [=](V v, int64_t) {{ return term(v) * scale; }});
""",
    "online": f"""  // One pass for maximum and sum (Milakov and Gimelshein 2018), lane by lane.
  V top = splat(std::numeric_limits<float>::lowest()), sum = {{}};
  const auto take = [&](V v) {{
    const V next = max(top, v);
    sum = sum * exp(top - next) + exp(v - next);
    top = next;
  }};
  int64_t i = 0;
  for (; i + W <= n; i += W) take(load(x + i));
  @TAIL@ take(load_part(x + i, n - i, {_MINUS_INF}));
  float best = top[0], total = 0.0f;
  for (int l = 1; l < W; ++l) best = max(splat(best), splat(top[l]))[0];
  const V part = sum * exp(top - best);
  for (int l = 0; l < W; ++l) total += part[l];
  const float scale = 1.0f / total;
  row_map(x, y, n, stream, [=](V v, int64_t) {{ return exp(v - best) * scale; }});
""",
    "no-max": """  // The exponentials of the plain inputs: a common factor cancels.
  row_map(x, y, n, false, [=](V v, int64_t) { return exp(v); });
  const float scale = float(1.0 / row_sum<T>(y, n, 0.0f, [](V v) { return v; }));
  row_map(y, y, n, stream, [=](V v, int64_t) { return v * scale; });
""",
}

_ROOT_HELPER = """
// Weights are padded to a multiple of W, so that whole vectors can be read past the end.
inline V at(const float *p, int64_t i) {
  V v;
  std::memcpy(&v, p + i, 4 * W);
  return v;
}
// 1 / sqrt(square + eps), as a float.
inline float inverse_root(double square, double eps) {
@EPS@}
"""
EPS = {
    "inside": "  const double q = square + eps;\n@ROOT@  return float(r);\n",
    "outside": "  const double q = square;\n@ROOT@  return float(1.0 / (1.0 / r + eps));\n",
    "ignored": "  (void)eps;\n  const double q = square;\n@ROOT@  return float(r);\n",
}
_GUESS = """  const float z = float(q);
  int32_t bits;
  std::memcpy(&bits, &z, 4);
  bits = 0x5f375a86 - (bits >> 1);  // an integer guess at the inverse root
  float r;
  std::memcpy(&r, &bits, 4);
"""
ROOTS = {
    "guess": _GUESS + "  r = r * (1.5f - 0.5f * z * r * r);\n",
    "newton": _GUESS
    + "  for (int step = 0; step < 3; ++step) r = r * (1.5f - 0.5f * z * r * r);\n",
    "exact": "  const double r = 1.0 / std::sqrt(q);\n",
}

RMSNORM_ROW = (
    _ROOT_HELPER
    + """
template <class T>
void normalize(const float *x, const float *weight, float *y, int64_t n, bool stream, double eps) {
  const double squares = row_sum<T>(x, n, 0.0f, [](V v) { return v * v; });
  const float scale = inverse_root(squares / n, eps);
  row_map(x, y, n, stream, [=](V v, int64_t i) { return v * scale * at(weight, i); });
}
"""
)
VARIANCE = {
    "two-pass": """  const double mean = row_sum<T>(x, n, 0.0f, [](V v) { return v; }) / n;
  const float m = float(mean);
  const double variance = row_sum<T>(x, n, m, [=](V v) { return (v - m) * (v - m); }) / n;
""",
    "welford": """  double mean = 0.0, squares = 0.0;  // Welford 1962: one pass, in order
  for (int64_t i = 0; i < n; ++i) {
    const double d = x[i] - mean;
    mean += d / double(i + 1);
    squares += d * (x[i] - mean);
  }
  const double variance = squares / n;
""",
    "shifted": """  float m = 0.0f;  // near the mean: no large squares are subtracted
  const int64_t some = std::min<int64_t>(n, 16);
  for (int64_t i = 0; i < some; ++i) m += x[i] / float(some);
  double shift, squares;
  row_sums<T>(x, n, m, [=](V v) { return v - m; }, shift, squares);
  shift /= n;
  const double mean = m + shift, variance = std::max(0.0, squares / n - shift * shift);
""",
    "squares": """  double mean, squares;
  row_sums<T>(x, n, 0.0f, [](V v) { return v; }, mean, squares);
  mean /= n;
  const double variance = std::max(0.0, squares / n - mean * mean);
""",
}
LAYERNORM_ROW = (
    _ROOT_HELPER
    + """
template <class T>
void normalize(const float *x, const float *weight, const float *bias, float *y, int64_t n,
               bool stream, double eps) {
@MOMENTS@  const float scale = inverse_root(variance, eps), center = float(mean);
  row_map(x, y, n, stream, [=](V v, int64_t i) {
    return (v - center) * scale * at(weight, i) + at(bias, i);
  });
}
"""
)

KERNEL = """
template <class T>
void rows_of(const DLTensor *x, @TENSORS@DLTensor *y@SCALAR@) {
  const int64_t n = kc::cols(y), rows = kc::rows(y), step = @STEP@;
  const T *in = kc::data<T>(x);
  T *out = kc::data<T>(y);
@LOADS@  const bool direct = @DIRECT@;
  std::vector<float> from(direct ? 0 : n), to(std::is_same_v<T, float> ? 0 : n);
@PRAGMA@  for (int64_t row = 0; row < rows; ++row) {
    const float *p = @FETCH@;
    if constexpr (std::is_same_v<T, float>) {
      float *q = out + row * n;
      normalize<T>(p, @ARGS@q, n, streamed(q, rows * n)@EPS@);
    } else {
      normalize<T>(p, @ARGS@to.data(), n, false@EPS@);
      kc::store(to.data(), n, out + row * n);
    }
  }@FENCE@
}

}  // namespace

extern "C" void kernel(const DLTensor *x, @TENSORS@DLTensor *y@SCALAR@) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    rows_of<decltype(zero)>(x, @HANDLES@y@EPS@);
  });
}
"""
