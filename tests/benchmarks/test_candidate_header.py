# SPDX-License-Identifier: Apache-2.0
"""kernelcoder.h: what people write without thinking compiles for every element type."""

from __future__ import annotations

import ctypes
from pathlib import Path

import candidate_runner as runner
import torch

# Each line once failed to compile for bf16 or half; float is the standard they are held to.
CASUAL = """#include <kernelcoder.h>

template <class T>
static void casual(const T *p, T *out) {
  T sum = 0;
  sum += 1.0f; sum += p[0]; sum -= 1; sum *= 2.0; sum /= p[1];  // (p0) 2 / p1
  out[0] = sum;
  out[1] = p[0] > 0 ? p[0] : 0.0f;
  out[2] = p[1] < 0 ? -p[1] : p[1];
  out[3] = p[0] * p[1];
  out[4] = std::exp(p[0]) + std::tanh(p[0]) - std::sqrt(std::abs(p[0])) + std::pow(p[0], 2.0f);
  float m = -1e30f;
  for (int i = 0; i < 2; ++i) m = p[i] > m ? p[i] : m;
  out[5] = m;
  out[6] = std::max(p[0], T(2)) + T(0.5) + T(int64_t(3)) + T(kc::half(1.5f));
  out[7] = p[0] == p[1] || p[0] != p[0] || std::isnan(p[1]) || p[0] <= 1 || p[1] >= 2.0f;
  const double wide = p[0];
  out[8] = T(wide + float(p[1]));
  std::fill(out + 9, out + 11, 0.25);
}

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    casual(kc::data<const T>(x), kc::data<T>(y));
  });
}

extern "C" void narrow(const float *in, uint16_t *out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = kc::bf16(in[i]).bits;
}
"""


def test_casual_arithmetic_compiles_and_is_right_for_every_type(tmp_path: Path) -> None:
    library = runner.build(CASUAL, tmp_path)
    kernel = ctypes.CDLL(str(library)).kernel
    kernel.restype = None
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x, y = torch.tensor([1.5, -0.75], dtype=dtype), torch.zeros(11, dtype=dtype)
        kernel(*(ctypes.byref(runner._dl(tensor)) for tensor in (x, y)))
        many = torch.tensor(1.5)
        sums = many.exp() + many.tanh() - many.sqrt() + many**2
        want = [-4.0, 1.5, 0.75, -1.125, float(sums), 1.5, 7.0, 0.0, 0.75, 0.25, 0.25]
        torch.testing.assert_close(y, torch.tensor(want).to(dtype))


def test_bfloat16_rounds_as_torch_does(tmp_path: Path) -> None:
    narrow = ctypes.CDLL(str(runner.build(CASUAL, tmp_path))).narrow
    bits = torch.randint(-(2**31), 2**31, (20_000,), generator=torch.Generator().manual_seed(1))
    bits[::2] = bits[::2] & ~0x7FFF | 0x8000 * (bits[::2] & 1)  # ties and exact values
    x = bits.to(torch.int32).view(torch.float32)
    out = torch.zeros(len(x), dtype=torch.int16)
    narrow(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(out.data_ptr()), ctypes.c_int64(len(x)))
    ours, theirs = out.view(torch.bfloat16), x.bfloat16()
    assert torch.equal(ours.isnan(), x.isnan())
    assert torch.equal(ours[~x.isnan()], theirs[~x.isnan()])
