// SPDX-License-Identifier: Apache-2.0
// e^x = 2^n e^r with |r| <= ln2 / 2; the polynomial is a least-squares fit on Chebyshev nodes.
// For |x| up to about 100; vexp takes any x.
static inline V vexp_finite(V x) {
  const V magic = V{} + 12582912.0f;  // adding it rounds to an integer
  const V n = (x * 1.44269504f + magic) - magic;
  V r = x - n * 0.693359375f;  // ln2 in two parts, the first exact in few bits
  r = r + n * 2.12194440e-4f;
  V p = r * 1.381459995e-03f + 8.368715644e-03f;
  p = p * r + 4.166838899e-02f;
  p = p * r + 1.666652113e-01f;
  p = p * r + 4.999999404e-01f;
  p = p * (r * r) + r + 1.0f;
  return times_power_of_two(p, n);
}

// The bounds give 0 and inf; a NaN passes both.
static inline V vexp(V x) { return vexp_finite(vmin(V{} + 89.0f, vmax(V{} - 104.0f, x))); }
