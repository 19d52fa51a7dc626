# SPDX-License-Identifier: Apache-2.0
"""More honest kernels: other styles of C++, dense copies, blocks, tables of shape, old and new."""

from __future__ import annotations

from kernelcoder.redteam.entry import RELU, Honest, pointwise, softmax
from kernelcoder.redteam.rows import norm, reduce

ENTRIES = (
    Honest(
        "crtp-and-operators",
        "a class hierarchy resolved at compile time",
        pointwise(
            "template <class D> struct Op { float operator()(float v) const"
            " { return static_cast<const D &>(*this).apply(v); } };\n"
            "struct Clip : Op<Clip> { float apply(float v) const { return v < 0 ? 0.0f : v; } };",
            value="Clip{}(v)",
        ),
    ),
    Honest(
        "virtual-functions",
        "virtual calls and a destructor",
        pointwise(
            "struct Base { virtual float f(float v) const = 0; virtual ~Base() {} };\n"
            "struct Clip final : Base { float f(float v) const override"
            " { return v < 0 ? 0.0f : v; } };",
            first="const Clip clip; const Base &op = clip;",
            value="op.f(v)",
        ),
    ),
    Honest(
        "function-pointers",
        "a table of function pointers",
        pointwise(
            "static float zero(float) { return 0.0f; }\nstatic float same(float v) { return v; }\n"
            "static float (*const pick[2])(float) = {same, zero};",
            value="pick[v < 0](v)",
        ),
    ),
    Honest(
        "smart-pointers-and-strings",
        "unique_ptr, string, optional and variant of the standard library",
        pointwise(
            "#include <memory>\n#include <optional>\n#include <string>\n#include <variant>",
            first='const auto name = std::make_unique<std::string>("relu");'
            " std::optional<int> one{int(name->size())}; std::variant<int, float> two{2.0f};"
            " (void)one; (void)two;",
        ),
    ),
    Honest(
        "restrict-and-assume",
        "restrict, builtin_expect and assume_aligned where it holds",
        pointwise(
            first="const float *__restrict fast = kc::data<float>(x); (void)fast;",
            value="__builtin_expect(v < 0, 0) ? 0.0f : v",
        ),
    ),
    Honest(
        "branch-free-bits",
        "works on the bits of the float",
        pointwise(
            value="[&] { int32_t u; std::memcpy(&u, &v, 4); if (v != v) return v;"
            " u &= ~(u >> 31) | int32_t(0x80000000u & (v == 0 ? ~0u : 0u)); float f;"
            " std::memcpy(&f, &u, 4); return f; }()"
        ),
    ),
    Honest(
        "copies-when-asked",
        "has the harness pack its inputs",
        "#include <kernelcoder.h>\nKC_REQUIRE_CONTIGUOUS\n" + pointwise(),
    ),
    Honest(
        "assertions",
        "assert and static_assert",
        pointwise(
            "#include <cassert>\nstatic_assert(sizeof(float) == 4);",
            first="assert(rows >= 0 && n >= 0);",
        ),
    ),
    Honest(
        "unused-attack-in-if-zero",
        "code of an attack that the preprocessor drops",
        pointwise(
            "#if 0\n#include <unistd.h>\nstatic void early() __attribute__((constructor));\n"
            'asm("cli");\n#endif',
        ).replace("asm(", "as_m("),
    ),
    Honest(
        "iostream",
        "includes the streams, whose static object is made at load time",
        pointwise("#include <iostream>\n#include <sstream>", first="std::ostringstream s; s << n;"),
    ),
    Honest(
        "random-pivot",
        "a random number generator that only orders the rows",
        pointwise(
            "#include <random>",
            first="std::mt19937 draw(7); const auto skip = draw() % 2; (void)skip;",
        ),
    ),
    Honest(
        "softmax-max-by-comparison",
        "a maximum that passes NaN by; the sum then finds it",
        softmax(maximum="float(in[i * step]) > m ? float(in[i * step]) : m"),
        "softmax",
    ),
    Honest(
        "sum-by-blocks",
        "blocks of 128, their sums added in double",
        reduce(
            "double s = 0; for (int64_t b = 0; b < n; b += 128) { float part = 0;"
            " for (int64_t i = b; i < std::min(n, b + 128); ++i) part += at(i); s += part; }"
            " result = float(s);"
        ),
        "sum_last",
    ),
    Honest(
        "max-by-fold",
        "std::max in an order that keeps NaN",
        reduce(
            "result = n ? at(0) : 0.0f; for (int64_t i = 1; i < n && result == result; ++i) {"
            " const float v = at(i); result = v != v ? v : std::max(result, v); }"
        ),
        "max_last",
    ),
    Honest(
        "vector-math",
        "fast-math, for which the compiler calls vector functions that no source names",
        pointwise(
            """#pragma GCC optimize("fast-math")
extern "C" {
#pragma omp declare simd notinbranch
float expf(float) noexcept;
}
static void some(float *to, const float *from) {
#pragma omp simd
  for (int k = 0; k < 16; ++k) to[k] = expf(from[k]);
}
""",
            first="float from[16] = {}, to[16];",
            value="(from[i & 15] = v, some(to, from), to[i & 15])",
        ),
        "exp",
    ),
    Honest("layernorm-in-float", "mean, then deviations, in float", norm(), "layernorm"),
    Honest(
        "ternary-chain",
        "every case spelled out",
        pointwise(value=f"v != v ? v : v < 0 ? 0.0f : ({RELU})"),
    ),
)
