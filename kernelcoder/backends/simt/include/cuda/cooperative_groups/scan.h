// SPDX-License-Identifier: Apache-2.0
// Scans over the threads of a tile or coalesced group; without an operator they add.
#pragma once
#include <cooperative_groups/reduce.h>

namespace cooperative_groups {

template <class G, class T, class Op = plus<T>>
inline T inclusive_scan(const G &group, T value, Op op = Op(), SIMT_LINE) {
  return group.simt_scan(value, op, simt_line);
}
template <class G, class T, class Op = plus<T>>
inline T exclusive_scan(const G &group, T value, Op op = Op(), SIMT_LINE) {
  const T sum = group.simt_scan(value, op, simt_line), ahead = group.shfl_up(sum, 1, simt_line);
  return group.thread_rank() ? ahead : T(0);
}

}  // namespace cooperative_groups
