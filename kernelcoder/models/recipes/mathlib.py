# SPDX-License-Identifier: Apache-2.0
"""C++ fragments: elementary functions on vectors of floats, at three orders of approximation.

The coefficients are our own minimax fits (Lawson's algorithm in float64 on Chebyshev nodes,
rounded to float32). Relative error of each fit before float rounding, in units of 2^-24:

========  =====  ====  ====
function  low    mid   high
========  =====  ====  ====
exp       150    3.4   0.1
expm1     360    7.9   0.2
log       210    4.4   0.1
erf       270    0.4   0.03
========  =====  ====  ====

``low`` is an order too few for 32-bit floats and enough for 16-bit ones: a mistake people make. So
is ``mid`` for a tanh of 32 bits.
``libm`` calls the C library lane by lane: right and slow.
"""

from __future__ import annotations

from collections.abc import Iterable

FUNCTIONS: tuple[str, ...] = (
    "exp", "log", "sqrt", "tanh", "sigmoid", "erf", "abs", "max", "min",
)  # fmt: skip
APPROXIMATED: tuple[str, ...] = ("exp", "log", "sqrt", "tanh", "sigmoid", "erf")
_NEEDS = {"tanh": ("expm1",), "sigmoid": ("exp",), "erf": ("exp",)}

# expm1(r) = r + r^2 * p(r) on |r| <= ln(2) / 2
_EXP = {
    "low": (0.500017226, 0.167512968, 0.0416088849),
    "mid": (0.499993801, 0.16666837, 0.0418766774, 0.00833815709),
    "high": (0.49999997, 0.16666539, 0.041667223, 0.00836718082, 0.00138823956),
}
# log(1 + f) = f - f^2 / 2 + f^3 * p(f) on sqrt(1/2) <= 1 + f <= sqrt(2)
_LOG = {
    "low": (0.332853943, -0.252451181, 0.217779875, -0.145937145),
    "mid": (0.333342493, -0.249832451, 0.199243575, -0.171373874, 0.160260201, -0.101929247),
    "high": (
        0.333333313, -0.250008225, 0.200012341, -0.166232988,
        0.142015532, -0.131605834, 0.127633259, -0.0763565153,
    ),
}  # fmt: skip
# erf(x) = x * p(x^2) on |x| <= 0.92
_ERF_NEAR = {
    "low": (1.12836075, -0.375461578, 0.108959503, -0.0193151236),
    "mid": (1.12837911, -0.376124799, 0.112816826, -0.0267617274, 0.00498594809, -0.000595377351),
    "high": (
        1.12837923, -0.376126319, 0.112836875, -0.0268589426,
        0.00519990781, -0.000813002174, 8.31680736e-05,
    ),
}  # fmt: skip
# log(1 - erf(x)) = p(x) on 0.92 <= x <= 4; beyond 4, erf is 1 in float32
_ERF_FAR = {
    "low": (-0.0271479189, -1.03604591, -0.756313562, -0.0300797187),
    "mid": (-0.00196588878, -1.11988282, -0.651175082, -0.0908300355, 0.0154885575, -0.00124012504),
    "high": (
        -0.000195674933, -1.12767565, -0.637182236, -0.103931598,
        0.0222269222, -0.00304321805, 0.000195937304,
    ),
}  # fmt: skip

_LIBM = """inline V {name}(V x) {{
  for (int l = 0; l < W; ++l) x[l] = {scalar};
  return x;
}}
"""
_LIBM_SCALAR = {
    "exp": "std::exp(x[l])",
    "log": "std::log(x[l])",
    "sqrt": "std::sqrt(x[l])",
    "tanh": "std::tanh(x[l])",
    "sigmoid": "1.0f / (1.0f + std::exp(-x[l]))",
    "erf": "std::erf(x[l])",
}

_REDUCE = """
// x = k ln 2 + r with |r| <= ln(2) / 2, ln 2 in two parts; adding 1.5 * 2^23 rounds.
inline V reduce(V x, I &k) {
  const V t = x * 1.44269504f + 12582912.0f;
  k = (I)t - 0x4b400000;
  const V n = t - 12582912.0f;
  return (x - n * 0.693359375f) - n * -2.12194440e-4f;
}
inline V power_of_two(I k) { return (V)((k + 127) << 23); }
"""
_EXP_CODE = """inline V exp(V x) {{
  x = x > 90.0f ? splat(90.0f) : x;      // overflows to infinity below
  x = x < -105.0f ? splat(-105.0f) : x;  // underflows to zero below; NaN passes both
  I k;
  const V r = reduce(x, k);
  const V p = {poly};
  const I half = k >> 1;  // two factors: 2^k alone leaves the float range at both ends
  return (r * r * p + r + 1.0f) * power_of_two(half) * power_of_two(k - half);
}}
"""
_EXPM1_CODE = """inline V expm1(V x) {{  // for |x| <= 40
  I k;
  const V r = reduce(x, k);
  const V p = {poly};
  const V s = power_of_two(k);
  return s * (r * r * p + r) + (s - 1.0f);
}}
"""
_TANH_CODE = """inline V tanh(V x) {
  x = x > 10.0f ? splat(10.0f) : x;
  x = x < -10.0f ? splat(-10.0f) : x;
  const V e = expm1(2.0f * x);
  return e / (e + 2.0f);
}
"""
_SIGMOID_CODE = """inline V sigmoid(V x) { return 1.0f / (1.0f + exp(-x)); }
"""
_LOG_CODE = """inline V log(V x) {{
  const I tiny = x < 1.17549435e-38f;  // subnormals are scaled into the normal range
  const V z = tiny ? x * 33554432.0f : x;
  const I k = ((I)z - 0x3f3504f3) >> 23;  // z = 2^k m, sqrt(1/2) <= m < sqrt(2)
  const V f = (V)((I)z - (k << 23)) - 1.0f;
  const V e = __builtin_convertvector(k, V) - (tiny ? splat(25.0f) : splat(0.0f));
  const V p = {poly};
  V y = f * f * f * p - 0.5f * f * f;
  y = e * -2.12194440e-4f + y + f + e * 0.693359375f;
  const float inf = std::numeric_limits<float>::infinity();
  y = x == inf ? x : y;
  y = x == 0.0f ? splat(-inf) : y;
  return (x >= 0.0f) ? y : splat(std::numeric_limits<float>::quiet_NaN());
}}
"""
_ERF_CODE = """inline V erf(V x) {{
  const V s = x * x;
  const V near = x * ({near});
  V a = (V)((I)x & 0x7fffffff);
  a = a > 4.0f ? splat(4.0f) : a;
  const V tail = 1.0f - exp({far});
  const V far = (V)((I)tail | ((I)x & (I)splat(-0.0f)));
  return (s < 0.8464f) ? near : (x == x ? far : x);
}}
"""
_SQRT_NEWTON = """inline V sqrt(V x) {{  // inverse root: an integer guess, {steps} Newton steps
  const I tiny = x < 1.17549435e-38f;
  const V z = tiny ? x * 16777216.0f : x;
  V r = (V)(0x5f375a86 - ((I)z >> 1));
  {newton}
  V y = z * r;
  {correct}y = tiny ? y * 2.44140625e-4f : y;
  const float inf = std::numeric_limits<float>::infinity();
  y = (x == 0.0f) | (x == inf) ? x : y;
  return (x >= 0.0f) ? y : splat(std::numeric_limits<float>::quiet_NaN());
}}
"""
_SQRT_HARDWARE = """inline V sqrt(V x) {{
{intrinsic}  for (int l = 0; l < W; ++l) x[l] = std::sqrt(x[l]);
  return x;
{end}}}
"""
_SQRT_INTRINSIC = {
    4: ("__SSE__", "_mm_sqrt_ps((__m128)x)"),
    8: ("__AVX__", "_mm256_sqrt_ps((__m256)x)"),
    16: ("__AVX512F__", "_mm512_sqrt_ps((__m512)x)"),
}
_ABS = """inline V abs(V x) { return (V)((I)x & 0x7fffffff); }
"""
_PICK = {
    "propagate": """// NaN wins
inline V {name}(V a, V b) {{ return (a != a) | (a {sign} b) ? a : b; }}
""",
    "swallow": """inline V {name}(V a, V b) {{ return a {sign} b ? a : b; }}
""",
}
_MIXED = """inline V {name}(V a, float b) {{ return {name}(a, splat(b)); }}
inline V {name}(float a, V b) {{ return {name}(splat(a), b); }}
inline V {name}(float a, float b) {{ return {name}(splat(a), splat(b)); }}
"""


def _horner(coefficients: Iterable[float], name: str) -> str:
    """``c0 + x * (c1 + x * ...)`` as C++ text."""
    *rest, text = [f"{c:.9g}f" for c in coefficients]
    for c in reversed(rest):
        inner = text if text.endswith("f") and "(" not in text and "*" not in text else f"({text})"
        text = f"{c} + {name} * {inner}"
    return text


def _sqrt(order: str, lanes: int) -> str:
    if order in ("low", "mid"):
        steps = 2 if order == "low" else 3
        newton = "\n  ".join(["r = r * (1.5f - 0.5f * z * r * r);"] * steps)
        correct = "" if order == "low" else "y = y + 0.5f * r * (z - y * y);\n  "
        return _SQRT_NEWTON.format(steps=steps, newton=newton, correct=correct)
    if order == "libm" or lanes not in _SQRT_INTRINSIC:
        return _LIBM.format(name="sqrt", scalar=_LIBM_SCALAR["sqrt"])
    macro, call = _SQRT_INTRINSIC[lanes]
    return _SQRT_HARDWARE.format(
        intrinsic=f"#if defined({macro})\n  return (V){call};\n#else\n", end="#endif\n"
    )


def _one(name: str, order: str, lanes: int, nan: str) -> str:
    if name in ("max", "min"):
        return _PICK[nan].format(name=name, sign=">" if name == "max" else "<")
    if name == "abs":
        return _ABS
    if name == "sqrt":
        return _sqrt(order, lanes)
    if order == "libm":
        return _LIBM.format(name=name, scalar=_LIBM_SCALAR[name])
    if name == "erf":
        return _ERF_CODE.format(
            near=_horner(_ERF_NEAR[order], "s"), far=_horner(_ERF_FAR[order], "a")
        )
    if name == "log":
        return _LOG_CODE.format(poly=_horner(_LOG[order], "f"))
    if name in ("exp", "expm1"):
        return (_EXP_CODE if name == "exp" else _EXPM1_CODE).format(poly=_horner(_EXP[order], "r"))
    return {"tanh": _TANH_CODE, "sigmoid": _SIGMOID_CODE}[name]


def functions(
    names: Iterable[str],
    order: str,
    lanes: int,
    nan: str = "propagate",
    scalars: bool = False,
) -> str:
    """C++ definitions of the functions named, on vectors ``V`` of ``W`` = ``lanes`` floats.

    ``order`` is one of the choices of the ``approx`` slot, ``nan`` of the ``nan`` slot. With
    ``scalars`` each also takes plain floats, as a hand-written expression may need."""
    wanted: list[str] = []
    for name in dict.fromkeys(names):
        needs = _NEEDS.get(name, ()) if order != "libm" else ()
        wanted += [n for n in (*needs, name) if n not in wanted]
    parts = [_REDUCE] if order != "libm" and {"exp", "expm1"} & set(wanted) else []
    for name in wanted:
        parts.append(_one(name, order, lanes, nan))
        if scalars and name in ("max", "min"):
            parts.append(_MIXED.format(name=name))
        elif scalars:
            parts.append(f"inline V {name}(float x) {{ return {name}(splat(x)); }}\n")
    return "".join(parts)
