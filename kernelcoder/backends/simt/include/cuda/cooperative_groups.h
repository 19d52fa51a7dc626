// SPDX-License-Identifier: Apache-2.0
// Cooperative groups of a block: thread_block, tiles of 1 to 32 threads, coalesced groups. A group
// of the whole grid has ranks and sizes, but its sync is a compile error: blocks run one after
// another.
#pragma once
#include "cuda_runtime.h"

namespace cooperative_groups {

class thread_block {
 public:
  void sync(SIMT_LINE) const { simt_barrier(simt_line, simt::SIMT_PLAIN, 0); }
  void barrier_sync(SIMT_LINE) const { sync(simt_line); }
  static unsigned size() { return simt_tls.nthreads; }
  static unsigned num_threads() { return simt_tls.nthreads; }
  static unsigned thread_rank() { return simt_tls.lin; }
  static dim3 group_index() { return simt_tls.bid; }
  static dim3 thread_index() { return simt_tls.tid; }
  static dim3 group_dim() { return simt_tls.bdim; }
  static dim3 dim_threads() { return simt_tls.bdim; }
};
inline thread_block this_thread_block() { return {}; }

class grid_group {
 public:
  __attribute__((error("grid-wide synchronization is not emulated: blocks run one after another")))
  void sync() const;
  static bool is_valid() { return false; }
  static unsigned long long num_blocks() {
    return 1ull * simt_tls.gdim.x * simt_tls.gdim.y * simt_tls.gdim.z;
  }
  static unsigned long long block_rank() {
    const simt::u3 b = simt_tls.bid, g = simt_tls.gdim;
    return b.x + 1ull * g.x * (b.y + 1ull * g.y * b.z);
  }
  static unsigned long long size() { return num_blocks() * simt_tls.nthreads; }
  static unsigned long long num_threads() { return size(); }
  static unsigned long long thread_rank() { return block_rank() * simt_tls.nthreads + simt_tls.lin; }
  static dim3 group_dim() { return simt_tls.gdim; }
};
inline grid_group this_grid() { return {}; }

// Lanes of one warp: what tiles and coalesced groups have in common. `lanes` are its members' bits.
class simt_lanes {
 public:
  explicit simt_lanes(unsigned lanes, unsigned rank, unsigned groups)
      : lanes_(lanes), rank_(rank), groups_(groups) {}
  unsigned size() const { return static_cast<unsigned>(__builtin_popcount(lanes_)); }
  unsigned num_threads() const { return size(); }
  unsigned thread_rank() const {
    return static_cast<unsigned>(__builtin_popcount(lanes_ & ((1u << simt_tls.lane) - 1)));
  }
  unsigned meta_group_rank() const { return rank_; }
  unsigned meta_group_size() const { return groups_; }
  void sync(SIMT_LINE) const { __syncwarp(lanes_, simt_line); }
  template <class T>
  T shfl(T v, unsigned rank, SIMT_LINE) const {
    return take(v, rank % size(), simt_line);
  }
  template <class T>
  T shfl_up(T v, unsigned by, SIMT_LINE) const {
    const unsigned me = thread_rank();
    return take(v, me < by ? me : me - by, simt_line);
  }
  template <class T>
  T shfl_down(T v, unsigned by, SIMT_LINE) const {
    const unsigned me = thread_rank();
    return take(v, me + by < size() ? me + by : me, simt_line);
  }
  template <class T>
  T shfl_xor(T v, unsigned by, SIMT_LINE) const {
    const unsigned other = thread_rank() ^ by;
    return take(v, other < size() ? other : thread_rank(), simt_line);
  }
  unsigned ballot(int p, SIMT_LINE) const { return packed(__ballot_sync(lanes_, p, simt_line)); }
  int any(int p, SIMT_LINE) const { return __ballot_sync(lanes_, p, simt_line) != 0; }
  int all(int p, SIMT_LINE) const { return __ballot_sync(lanes_, p, simt_line) == lanes_; }
  template <class T>
  unsigned match_any(T v, SIMT_LINE) const {
    return packed(__match_any_sync(lanes_, v, simt_line));
  }
  template <class Op, class T>
  T simt_reduce(T v, Op op, int line) const {
    const unsigned me = thread_rank(), all = size();
    T sum = v;
    for (unsigned by = 1; by < all; by *= 2) {
      const T other = take(sum, me + by < all ? me + by : me, line);
      if (me % (2 * by) == 0 && me + by < all) sum = op(sum, other);
    }
    return take(sum, 0, line);
  }
  template <class Op, class T>
  T simt_scan(T v, Op op, int line) const {  // inclusive
    const unsigned me = thread_rank(), all = size();
    for (unsigned by = 1; by < all; by *= 2) {
      const T other = take(v, me >= by ? me - by : me, line);
      if (me >= by) v = op(other, v);
    }
    return v;
  }

 private:
  unsigned lanes_, rank_, groups_;
  template <class T>
  T take(T v, unsigned rank, int line) const {
    unsigned left = lanes_;
    for (; rank; --rank) left &= left - 1;
    return __shfl_sync(lanes_, v, __builtin_ctz(left), 32, line);
  }
  unsigned packed(unsigned set) const {
    unsigned result = 0, place = 0;
    for (unsigned left = lanes_; left; left &= left - 1, ++place)
      result |= (set >> __builtin_ctz(left) & 1u) << place;
    return result;
  }
};

using thread_group = simt_lanes;
using coalesced_group = simt_lanes;

template <unsigned SIZE, class PARENT = void>
class thread_block_tile : public simt_lanes {
  static_assert(SIZE >= 1 && SIZE <= 32 && (SIZE & (SIZE - 1)) == 0,
                "a tile has 1, 2, 4, 8, 16 or 32 threads here");

 public:
  thread_block_tile()
      : simt_lanes((SIZE == 32 ? 0xffffffffu : ((1u << SIZE % 32) - 1) << simt_tls.lane / SIZE * SIZE) &
                       present(),
                   simt_tls.lin / SIZE, (simt_tls.nthreads + SIZE - 1) / SIZE) {}
  template <class OTHER>
  thread_block_tile(const thread_block_tile<SIZE, OTHER> &) : thread_block_tile() {}
  static constexpr unsigned size() { return SIZE; }
  static constexpr unsigned num_threads() { return SIZE; }
  static unsigned thread_rank() { return simt_tls.lin % SIZE; }

 private:
  static unsigned present() {  // the last warp of a block may be short
    const unsigned left = simt_tls.nthreads - simt_tls.lin / 32 * 32;
    return left >= 32 ? 0xffffffffu : (1u << left) - 1;
  }
};

template <unsigned SIZE, class G>
inline thread_block_tile<SIZE, G> tiled_partition(const G &) { return {}; }
// The size is known at run time only.
inline thread_group tiled_partition(const thread_block &, unsigned size) {
  if (!size || size > 32 || (size & (size - 1))) simt_die("unsupported", 0, "size of a tile");
  const unsigned lanes = size == 32 ? 0xffffffffu : ((1u << size) - 1) << simt_tls.lane / size * size;
  const unsigned left = simt_tls.nthreads - simt_tls.lin / 32 * 32;
  return thread_group(lanes & (left >= 32 ? 0xffffffffu : (1u << left) - 1), simt_tls.lin / size,
                      (simt_tls.nthreads + size - 1) / size);
}
inline coalesced_group coalesced_threads(SIMT_LINE) {
  return coalesced_group(__activemask(simt_line), 0, 1);
}
template <class G>
inline void sync(const G &group, SIMT_LINE) { group.sync(simt_line); }

}  // namespace cooperative_groups
