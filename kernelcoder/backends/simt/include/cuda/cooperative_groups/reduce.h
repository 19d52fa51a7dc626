// SPDX-License-Identifier: Apache-2.0
// reduce() over the threads of a tile or coalesced group.
#pragma once
#include <cooperative_groups.h>

namespace cooperative_groups {

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct less { T operator()(T a, T b) const { return b < a ? b : a; } };
template <class T> struct greater { T operator()(T a, T b) const { return a < b ? b : a; } };
template <class T> struct bit_and { T operator()(T a, T b) const { return a & b; } };
template <class T> struct bit_or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct bit_xor { T operator()(T a, T b) const { return a ^ b; } };

template <class G, class T, class Op>
inline T reduce(const G &group, T value, Op &&op, SIMT_LINE) {
  return group.simt_reduce(value, op, simt_line);
}

}  // namespace cooperative_groups
