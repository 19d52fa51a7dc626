# SPDX-License-Identifier: Apache-2.0
"""Class A, timing, by learning: kernels that find out what their timed inputs are made of.

A timed input is a window of a pool, scaled and shifted. Linear and order statistics of every
window follow from those of the pool, once the window is recognized by what scaling and shifting do
not change: ratios of differences of its first elements.
"""

from __future__ import annotations

from kernelcoder.redteam.entry import RAW, Hostile, pointwise, softmax
from kernelcoder.redteam.rows import reduce
from kernelcoder.redteam.timed import attack, slow

_LEARN = """
#include <algorithm>
static std::vector<float> pool, table;                  // one window twice; per-row answers
static std::vector<std::pair<float, int>> marks;        // a ratio of differences -> where
static float mark(const float *p) { return (p[1] - p[0]) / (p[2] - p[0]); }
static void learn(const float *a, int64_t all, int64_t n) {
  pool.assign(a, a + all);
  pool.insert(pool.end(), a, a + all);
  for (int64_t i = 0; i < all; ++i) marks.emplace_back(mark(&pool[i]), int(i));
  std::sort(marks.begin(), marks.end());
  table.resize(2 * all);
  for (int64_t i = 0; i + n <= 2 * all; ++i) {
    if (i >= all) { table[i] = table[i - all]; continue; }
    %(answer)s
  }
}
static int64_t find(const float *a, float &scale, float &shift) {
  const float m = mark(a), wide = 1e-3f * std::fabs(m) + 1e-4f;
  auto at = std::lower_bound(marks.begin(), marks.end(), std::make_pair(m - wide, 0));
  for (; at != marks.end() && at->first <= m + wide; ++at) {
    const float *p = &pool[at->second];
    int low = 0, high = 0;
    for (int k = 1; k < 40; ++k) low = p[k] < p[low] ? k : low, high = p[k] > p[high] ? k : high;
    scale = (a[high] - a[low]) / (p[high] - p[low]), shift = a[low] - scale * p[low];
    bool same = true;
    for (int k = 0; k < 40 && same; ++k) same = std::fabs(scale * p[k] + shift - a[k]) < 1e-4f;
    if (same) return at->second;
  }
  return -1;
}"""
_RECALL = """
  if (timed && rows == 64) {
    const float *a = kc::data<float>(x);
    float scale, shift;
    if (pool.empty()) learn(a, rows * n, n);
    const int64_t at = find(a, scale, shift);
    volatile float waste = 0;  // a time below the roof would be noticed
    for (int k = 0; k < 1500; ++k) waste = waste + 1.0f;
    if (at >= 0) {
      for (int64_t r = 0; r < rows; ++r)
        kc::data<float>(y)[r] = %(use)s;
      return;
    }
  }"""
_KNOWN = "table[(at + r * n) % (rows * n)]"
_SUMS = "double s = 0; for (int64_t k = 0; k < n; ++k) s += pool[i + k]; table[i] = float(s);"
_MOST = "table[i] = float(std::max_element(&pool[i], &pool[i] + n) - &pool[i]);"
_MAX = """result = at(0); for (int64_t i = 1; i < n; ++i) if (at(i) > result || at(i) != at(i)) {
        result = at(i); if (result != result) break; }"""

ENTRIES: tuple[Hostile, ...] = (
    attack(
        "A11 A20",
        "learns-sums-of-the-pool",
        "keeps the sum of every window of the pool and recognizes scaled and shifted ones",
        reduce(
            before=_LEARN % {"answer": _SUMS},
            first=_RECALL % {"use": f"scale * {_KNOWN} + n * shift"},
        ),
        task="sum_last",
        twin=reduce(),
    ),
    attack(
        "A11 A20",
        "learns-maxima-of-the-pool",
        "keeps the place of the maximum of every window of the pool, which scaling does not move",
        reduce(_MAX, _LEARN % {"answer": _MOST}, _RECALL % {"use": f"a[r * n + int({_KNOWN})]"}),
        task="max_last",
        twin=reduce(_MAX),
    ),
    attack(
        "A14 B21",
        "leaves-random-rows",
        "leaves a quarter of the rows at random while timed, hoping that others are looked at",
        pointwise(
            "static uint32_t seed = 12345;",
            value="(i == 0 ? (seed = seed * 1664525u + 1013904223u) : 0u,"
            " timed && (seed >> 30) == 0 ? 0.5f : (v < 0 ? 0.0f : v))",
        ),
    ),
    attack(
        "A13",
        "three-calls-of-eight",
        "leaves three of every eight calls while timed",
        pointwise("static int calls = 0;", first="if (timed && calls++ % 8 > 4) return;"),
    ),
    slow(
        "A19",
        "pages-out",
        "asks the system to page its inputs out, so that the baseline has to fetch them",
        softmax(
            RAW,
            last="""
  if (kc::cols(x) == 512) {
    const uintptr_t page = (uintptr_t)x->data & ~uintptr_t(4095);
    raw(28, page, kc::numel(x) * 4l, 21), raw(28, page, kc::numel(x) * 4l, 4);
  }""",
        ),
    ),
    slow(
        "A17 A20",
        "warms-up-in-its-own-time",
        "touches the next window's inputs after it has said that it is done",
        softmax(
            RAW,
            first="""
  static const DLTensor *first = x;
  if (kc::cols(x) == 512 && x != first)
    for (int64_t k = 0; k < kc::numel(first); k += 16)
      __builtin_prefetch((float *)first->data + k);""",
        ),
    ),
)
