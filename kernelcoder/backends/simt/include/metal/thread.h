// SPDX-License-Identifier: Apache-2.0
// The compute attributes of a kernel function, by their names in Metal: where a thread is. The
// generated entry passes them as arguments.
#pragma once
#include "mlx.h"

namespace simt::attribute {

inline uint3 three(const simt::u3 &from) { return uint3(from.x, from.y, from.z); }
inline uint whole_group() { return simt_tls.tgmax.x * simt_tls.tgmax.y * simt_tls.tgmax.z; }

inline uint dispatch_quadgroups_per_threadgroup() { return (whole_group() + 3) / 4; }
inline uint dispatch_simdgroups_per_threadgroup() { return (whole_group() + 31) / 32; }
inline uint3 dispatch_threads_per_threadgroup() { return three(simt_tls.tgmax); }
inline uint3 grid_origin() { return uint3(0); }
inline uint3 grid_size() { return three(simt_tls.gsize); }
inline uint quadgroup_index_in_threadgroup() { return simt_tls.lin / 4; }
inline uint quadgroups_per_threadgroup() { return (simt_tls.nthreads + 3) / 4; }
inline uint simdgroup_index_in_threadgroup() { return simt_tls.lin / 32; }
inline uint simdgroups_per_threadgroup() { return (simt_tls.nthreads + 31) / 32; }
inline uint thread_execution_width() { return 32; }
inline uint thread_index_in_quadgroup() { return simt_tls.lin % 4; }
inline uint thread_index_in_simdgroup() { return simt_tls.lin % 32; }
inline uint thread_index_in_threadgroup() { return simt_tls.lin; }
inline uint3 thread_position_in_grid() { return three(simt_tls.gpos); }
inline uint3 thread_position_in_threadgroup() { return three(simt_tls.tid); }
inline uint3 threadgroup_position_in_grid() { return three(simt_tls.bid); }
inline uint3 threadgroups_per_grid() { return three(simt_tls.gdim); }
inline uint3 threads_per_grid() { return three(simt_tls.gsize); }
inline uint threads_per_simdgroup() { return 32; }
inline uint3 threads_per_threadgroup() { return three(simt_tls.bdim); }

}  // namespace simt::attribute
