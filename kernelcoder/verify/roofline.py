# SPDX-License-Identifier: Apache-2.0
"""Measured roofs of this machine: bytes per second by working set, and peak f32 FMA rate.

The bound of a case is ``max(bytes / bandwidth, flops / peak)`` (Williams, Waterman, Patterson
2009), with the bandwidth measured at the case's own working set, single-threaded, on the same CPU
clock, through the same harness and with the same compiler flags as candidates.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Both read x and write y, n floats each. The peak kernel stays in registers: x has one element.
COPY_SOURCE = """#include "kernelcoder.h"
#if defined(__AVX512F__)
static void copy(const float *x, float *y, int64_t n, bool stream) {
  int64_t i = 0;
  if (stream)
    for (; i + 16 <= n; i += 16) _mm512_stream_ps(y + i, _mm512_loadu_ps(x + i));
  else
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, _mm512_loadu_ps(x + i));
  for (; i < n; ++i) y[i] = x[i];
}
#else
static void copy(const float *x, float *y, int64_t n, bool) { std::memcpy(y, x, n * 4); }
#endif
extern "C" void kernel(const DLTensor *x, DLTensor *y, double stream) {
  copy(kc::data<float>(x), kc::data<float>(y), kc::numel(x), stream != 0.0);
}
"""

READ_SOURCE = """#include "kernelcoder.h"
typedef float lane __attribute__((vector_size(64)));
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *p = kc::data<float>(x);
  const int64_t n = kc::numel(x);
  lane a[8] = {};
  int64_t i = 0;
  for (; i + 128 <= n; i += 128)
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      lane v;
      std::memcpy(&v, p + i + 16 * k, 64);
      a[k] += v;
    }
  lane sum = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
  std::memcpy(kc::data<float>(y), &sum, 64);
}
"""

PEAK_SOURCE = """#include "kernelcoder.h"
#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
typedef float lane __attribute__((vector_size(WIDTH * 4)));
extern "C" void kernel(const DLTensor *x, DLTensor *y, double rounds) {
  const float seed = kc::data<float>(x)[0];
  lane m = lane{} + (1.0f - 1e-7f), c = lane{} + seed, a[12];
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) a[k] = c * float(k);
  for (int64_t r = 0; r < int64_t(rounds); ++r)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) a[k] = a[k] * m + c;
  lane sum = lane{};
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) sum += a[k];
  float out = 0.0f;
  for (int i = 0; i < WIDTH; ++i) out += sum[i];
  kc::data<float>(y)[0] = out;
  if (y->ndim > 0 && y->shape[0] > 1) kc::data<float>(y)[1] = float(WIDTH);
}
"""
PEAK_ROUNDS = 400_000


@dataclass(frozen=True, slots=True)
class Roof:
    """Bound of one case: bytes/s and flop/s measured, and the seconds they allow at the least."""

    bandwidth: float
    peak: float

    def bound(self, nbytes: int, flops: int) -> float:
        """Least possible seconds for this traffic (bytes) and work (flops)."""
        return max(nbytes / self.bandwidth, flops / self.peak)


class Roofs:
    """Roofs kept in a file beside the compile cache, keyed by machine and compiler; measured at
    first need by ``measure(kind, working_set_bytes) -> best bytes/s or flop/s``."""

    def __init__(self, path: Path, key: str, measure: Callable[[str, int], float]) -> None:
        self._path, self._key, self._measure = path, key, measure
        self._values: dict[str, float] = self._read()

    def _read(self) -> dict[str, float]:
        try:
            stored = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return dict(stored.get(self._key, {})) if isinstance(stored, dict) else {}

    def _store(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump({self._key: self._values}, file, indent=1)
        Path(name).replace(self._path)

    def _value(self, kind: str, size: int, again: bool) -> float:
        name = f"{kind}-{size}"
        if again or name not in self._values:
            self._values[name] = max(self._values.get(name, 0.0), self._measure(kind, size))
            self._store()
        return self._values[name]

    def roof(self, working_set: int, again: bool = False) -> Roof:
        """The roof at a working set in bytes: the best of copying and of reading, at the powers of
        two (of at least 1 MiB) around it.

        ``again`` measures once more and keeps the better figure: a busy machine can only make a
        roof look lower than it is, and a low roof would accuse honest kernels."""
        above = 1 << max(20, (working_set - 1).bit_length())
        sizes = {max(above // 2, 1 << 20), above}
        best = max(self._value(kind, size, again) for kind in ("copy", "read") for size in sizes)
        return Roof(best, self._value("peak", 0, again))
