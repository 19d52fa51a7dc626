# SPDX-License-Identifier: Apache-2.0
"""Metal kernels of softmax and norms over the last dim: one threadgroup per row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cpp import edits
from benchmarks.gpu.metal_groups import ARGUMENTS, MAX, MISTAKES, SUM, source

_SOFTMAX = f"""
    float top = -INFINITY;
    for (uint i = me; i < n; i += width) top = larger(top, float(x[row * n + i]));
    top = group_max(top, {ARGUMENTS});
    float sum = 0.0f;
    for (uint i = me; i < n; i += width) sum += metal::precise::exp(float(x[row * n + i]) - top);
    sum = group_sum(sum, {ARGUMENTS});
    for (uint i = me; i < n; i += width)
        y[row * n + i] = static_cast<T>(metal::precise::exp(float(x[row * n + i]) - top) / sum);
"""
_RMSNORM = f"""
    float squares = 0.0f;
    for (uint i = me; i < n; i += width) {{
        float v = float(x[row * n + i]);
        squares += v * v;
    }}
    squares = group_sum(squares, {ARGUMENTS});
    float scale = metal::precise::rsqrt(squares / float(n) + eps);
    for (uint i = me; i < n; i += width)
        y[row * n + i] = static_cast<T>(float(x[row * n + i]) * scale * float(weight[i]));
"""
# The variance from centered values: a large mean costs no digits.
_LAYERNORM = f"""
    float sum = 0.0f, squares = 0.0f;
    for (uint i = me; i < n; i += width) sum += float(x[row * n + i]);
    float mean = group_sum(sum, {ARGUMENTS}) / float(n);
    for (uint i = me; i < n; i += width) {{
        float d = float(x[row * n + i]) - mean;
        squares += d * d;
    }}
    squares = group_sum(squares, {ARGUMENTS});
    float scale = metal::precise::rsqrt(squares / float(n) + eps);
    for (uint i = me; i < n; i += width) {{
        float v = (float(x[row * n + i]) - mean) * scale * float(weight[i]);
        y[row * n + i] = static_cast<T>(v + float(bias[i]));
    }}
"""
_SOURCES: Mapping[str, str] = {
    "softmax": source("softmax", MAX + "\n" + SUM, _SOFTMAX, ("x",)),
    "rmsnorm": source("rmsnorm", SUM, _RMSNORM, ("x", "weight", "eps")),
    "layernorm": source("layernorm", SUM, _LAYERNORM, ("x", "weight", "bias", "eps")),
}
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "scratch_used_again_too_early": (
        (
            "    threadgroup_barrier(mem_flags::mem_threadgroup);\n    if (lane == 0)",
            "    if (lane == 0)",
        ),
    ),
    "part_of_a_simdgroup": (("(n + 31) // 32 * 32)", "n)"),),
}
_EPS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "eps_outside_root": (
        (
            "metal::precise::rsqrt(squares / float(n) + eps)",
            "1.0f / (metal::precise::sqrt(squares / float(n)) + eps)",
        ),
    ),
}
_OWN: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "softmax": {
        "no_max_subtraction": ((" - top)", ")"),),
        "one_past_the_row": (("i < n; i += width)\n        y", "i <= n; i += width)\n        y"),),
    },
    "rmsnorm": {
        **_EPS,
        "ignores_weight": ((" * float(weight[i])", ""),),
        "forgets_the_mean": (("squares / float(n) + eps", "squares + eps"),),
    },
    "layernorm": {
        **_EPS,
        "ignores_bias": (("float(bias[i])", "0.0f"),),
        "one_pass_variance": (
            ("float d = float(x[row * n + i]) - mean;", "float d = float(x[row * n + i]);"),
            ("squares / float(n) + eps", "squares / float(n) - mean * mean + eps"),
        ),
    },
}
# Of the mistakes that fit several operators, each has some.
_SHARED: Mapping[str, tuple[str, ...]] = {
    "softmax": ("scratch_used_again_too_early", "one_simdgroup_of_the_threadgroup"),
    "rmsnorm": ("part_of_a_simdgroup",),
    "layernorm": ("no_barrier_after_the_store",),
}
NAMES = frozenset(_SOURCES)


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCES[name]


def wrong(name: str) -> dict[str, str]:
    """Mistakes of the reduction over a group, of walking along a row, and of the operator."""
    fitting = {**MISTAKES, **_ROWS}
    shared = {key: fitting[key] for key in _SHARED[name]}
    return edits(_SOURCES[name], {**shared, **_OWN[name]})
