# SPDX-License-Identifier: Apache-2.0
"""C++ fragments every family shares: vector types, memory access, layout, threads."""

from __future__ import annotations

import json

from kernelcoder.models.recipes.slots import Params

_HEAD = """// recipe: {family} {params}
// {sentence}
#include "kernelcoder.h"
{layout}
namespace {{

constexpr int W = {lanes}, UNROLL = {unroll};
typedef float V __attribute__((vector_size(4 * W)));
typedef int32_t I __attribute__((vector_size(4 * W)));
typedef float Memory __attribute__((vector_size(4 * W), may_alias{memory}));

inline V splat(V x) {{ return x; }}
inline V splat(float x) {{ return x - V{{}}; }}
inline V load(const float *p) {{ return *(const Memory *)p; }}
inline void store(float *p, V v) {{ *(Memory *)p = v; }}
inline V load_part(const float *p, int64_t n, float fill) {{
  V v = splat(fill);
  std::memcpy(&v, p, 4 * n);
  return v;
}}
inline void store_part(float *p, int64_t n, V v) {{ std::memcpy(p, &v, 4 * n); }}
"""

_STREAM = {
    "off": """inline bool streamed(const float *, int64_t) { return false; }
""",
    "big": """// Stores that bypass the caches pay off once the output is larger than they are.
inline bool streamed(const float *y, int64_t total) {
  return total > (1 << 21) && (uintptr_t)y % (4 * W) == 0;
}
""",
    "always": """inline bool streamed(const float *y, int64_t) {
  return (uintptr_t)y % (4 * W) == 0;
}
""",
}
_STREAM_STORE = {
    1: ("__x86_64__", "_mm_stream_si32((int *)p, (int)((I)v)[0])"),
    4: ("__x86_64__", "_mm_stream_ps(p, (__m128)v)"),
    8: ("__AVX__", "_mm256_stream_ps(p, (__m256)v)"),
    16: ("__AVX512F__", "_mm512_stream_ps(p, (__m512)v)"),
}
_PUT = """inline void put(float *p, V v, bool stream) {{
#if defined({macro})
  if (stream) return {call};
#endif
  store(p, v);
}}
"""

FLOATS = """
// n elements as floats: in place where they are floats in a row, else through the buffer.
template <class T>
inline const float *floats(const T *p, int64_t stride, int64_t n, float *buffer) {
  if constexpr (std::is_same_v<T, float>)
    if (stride == 1) return p;
  kc::load(p, stride, n, buffer);
  return buffer;
}
"""

_THREADS = {
    "off": "",
    "large": """inline int workers(int64_t work) {
  return work < (1 << 20) ? 1 : std::min(omp_get_max_threads(), omp_get_num_procs());
}
""",
    "always": """inline int workers(int64_t) {
  return std::min(omp_get_max_threads(), omp_get_num_procs());
}
""",
}


def head(family: str, sentence: str, params: Params) -> str:
    """The top of a file, down to vector loads and stores; opens the anonymous namespace.

    The first line is what ``recipes.parse`` reads back."""
    return _HEAD.format(
        family=family,
        params=json.dumps(dict(params)),
        sentence=sentence,
        layout="KC_REQUIRE_CONTIGUOUS\n" if params["layout"] == "copy" else "",
        lanes=params["lanes"],
        unroll=params.get("unroll", 1),
        memory="" if params["align"] == "64" else ", aligned(4)",
    )


def streaming(params: Params) -> str:
    """``streamed(y, total)`` and ``put(p, v, stream)`` for the stream slot."""
    macro, call = _STREAM_STORE[int(params["lanes"])]
    return _STREAM[str(params["stream"])] + _PUT.format(macro=macro, call=call)


def fence(params: Params) -> str:
    """The statement that makes streamed stores visible, or nothing."""
    if params["stream"] == "off":
        return ""
    return "\n#if defined(__x86_64__)\n  _mm_sfence();\n#endif"


def threads(params: Params) -> str:
    """``workers(work)`` where the threads slot asks for it."""
    return _THREADS[str(params["threads"])]


def parallel(params: Params, work: str, clauses: str = "") -> str:
    """The OpenMP pragma above a loop, ``work`` being its C++ cost in elements; or nothing."""
    if params["threads"] == "off":
        return ""
    return f"#pragma omp parallel for schedule(static) num_threads(workers({work})){clauses}\n"


def row_offset(params: Params, tensor: str, row: str, width: str) -> str:
    """C++ for the element offset of a row of an input, as the layout slot sees it."""
    if params["layout"] == "strides":
        return f"kc::row_offset({tensor}, {row})"
    return f"{row} * {width}"


def col_stride(params: Params, tensor: str) -> str:
    """C++ for an input's element stride along the last dim, as the layout slot sees it."""
    return f"kc::col_stride({tensor})" if params["layout"] == "strides" else "1"
