// SPDX-License-Identifier: Apache-2.0
// Launches, barriers, fences. The rewriter turns name<<<grid, block, bytes, stream>>>(a, b) into
// simt::launch("name", [&](auto &&...p) { name(p...); }, grid, block, bytes, stream)(a, b).
#pragma once
#include "types.h"

typedef struct simt_stream *cudaStream_t;

namespace simt {

template <class F>
struct Pending {
  LaunchCfg config;
  F body;
  // Arguments are evaluated once and copied, as a launch does.
  template <class... A>
  void operator()(A &&...arguments) const {
    std::tuple<std::decay_t<A>...> copies(std::forward<A>(arguments)...);
    launch_fn(config, [&] { std::apply(body, copies); });
  }
};

template <class F>
inline Pending<F> launch(const char *name, F body, dim3 grid, dim3 block, size_t shared = 0,
                         cudaStream_t = nullptr, SIMT_LINE) {
  return {{grid, block, shared, 0, {0, 0, 0}, name, simt_line, nullptr}, body};
}

template <class T>
SIMT_ALWAYS T *dynamic_shared() { return static_cast<T *>(simt_tls.dyn); }

}  // namespace simt

static inline void __syncthreads(SIMT_LINE) { simt_barrier(simt_line, simt::SIMT_PLAIN, 0); }
static inline int __syncthreads_count(int p, SIMT_LINE) {
  return simt_barrier(simt_line, simt::SIMT_COUNT, p);
}
static inline int __syncthreads_and(int p, SIMT_LINE) {
  return simt_barrier(simt_line, simt::SIMT_AND, p);
}
static inline int __syncthreads_or(int p, SIMT_LINE) {
  return simt_barrier(simt_line, simt::SIMT_OR, p);
}
SIMT_ALWAYS void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
SIMT_ALWAYS void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
SIMT_ALWAYS void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __nanosleep(unsigned) {}
[[noreturn]] static inline void __trap(SIMT_LINE) { simt_trap(simt_line); }
static inline void __brkpt() {}
static inline long long clock64() { return 0; }
template <class T>
SIMT_ALWAYS T __ldg(const T *p) { return *p; }
template <class T>
SIMT_ALWAYS T __ldcg(const T *p) { return *p; }
template <class T>
SIMT_ALWAYS T __ldca(const T *p) { return *p; }
template <class T>
SIMT_ALWAYS T __ldcs(const T *p) { return *p; }
template <class T>
SIMT_ALWAYS void __stcg(T *p, simt::Same<T> v) { *p = v; }
template <class T>
SIMT_ALWAYS void __stcs(T *p, simt::Same<T> v) { *p = v; }
template <class T>
SIMT_ALWAYS void __stwt(T *p, simt::Same<T> v) { *p = v; }
