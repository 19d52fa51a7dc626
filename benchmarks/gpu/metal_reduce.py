# SPDX-License-Identifier: Apache-2.0
"""Metal kernels of reductions over the last dim: one threadgroup per row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cpp import edits
from benchmarks.gpu.metal_groups import ARGUMENTS, MAX, MISTAKES, SUM, source

_SUM = f"""
    float sum = 0.0f;
    for (uint i = me; i < n; i += width) sum += float(x[row * n + i]);
    sum = group_sum(sum, {ARGUMENTS});
    if (me == 0) y[row] = static_cast<T>(sum);
"""
_MEAN = _SUM.replace("static_cast<T>(sum)", "static_cast<T>(sum / float(n))")
_MAX = f"""
    float top = -INFINITY;
    for (uint i = me; i < n; i += width) top = larger(top, float(x[row * n + i]));
    top = group_max(top, {ARGUMENTS});
    if (me == 0) y[row] = static_cast<T>(top);
"""
_SHAPE = "(*x.shape[:-1], 1)"
_SOURCES: Mapping[str, str] = {
    "sum_last": source("sum_last", SUM, _SUM, ("x",), _SHAPE),
    "mean_last": source("mean_last", SUM, _MEAN, ("x",), _SHAPE),
    "max_last": source("max_last", MAX, _MAX, ("x",), _SHAPE),
}
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "one_element_per_thread": (("i < n; i += width", "i < width; i += width"),),
    "rows_in_x": (("threadgroup_position_in_grid.y", "threadgroup_position_in_grid.x"),),
}
_ACCUMULATES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "half_accumulator": (
        ("    float sum = 0.0f;", "    half total = 0;"),
        (
            "sum += float(x[row * n + i]);",
            "total += half(x[row * n + i]);",
        ),
        ("    sum = group_sum(sum,", "    float sum = group_sum(float(total),"),
    ),
    "every_thread_adds": (("    if (me == 0) y[row] = ", "    y[row] += "),),
}
_OWN: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "sum_last": _ACCUMULATES,
    "mean_last": {**_ACCUMULATES, "divides_by_the_threads": (("float(n)", "float(width)"),)},
    "max_last": {
        "starts_at_zero": (("float top = -INFINITY", "float top = 0.0f"),),
        "swallows_nan": (("metal::isnan(a) || a > b ? a : b", "metal::max(a, b)"),),
    },
}
# Of the mistakes that fit several operators, each has some.
_SHARED: Mapping[str, tuple[str, ...]] = {
    "sum_last": ("no_barrier_after_the_store", "rows_in_x"),
    "mean_last": ("one_simdgroup_of_the_threadgroup",),
    "max_last": ("one_element_per_thread",),
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
