// SPDX-License-Identifier: Apache-2.0
// What compiled kernels and the headers of CUDA and Metal ask of the emulation runtime (libsimt).
// A C ABI: kernels and the runtime are compiled apart. The model is described in ../../README.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace simt {

struct u3 {
  unsigned x, y, z;
};

// Where the running thread is. One per OS thread; the scheduler rewrites it at every switch.
struct Tls {
  u3 tid, bid;         // in its block; of its block in the grid
  u3 bdim, gdim;       // threads of this block (smaller at the edge of a Metal grid); blocks
  unsigned lin, lane, warp, nthreads;  // index in the block, in its warp, of its warp; block size
  u3 gpos, gsize;      // Metal: position in the grid and size of the grid, in threads
  u3 tgmax;            // Metal: threads of a whole threadgroup (dispatch_threads_per_threadgroup)
  void *dyn;           // dynamic shared memory of the block, dyn_size bytes
  size_t dyn_size;
  int in_kernel;       // 0 in host code
  int warpsize;        // 32
};

// What one lane brings to a warp operation. Only lanes of the active set have valid slots.
struct Slot {
  const void *in;
  void *out;
  int arg, arg2, line;
  uint32_t mask;
};
// Does a warp operation for all active lanes at once: reads slots[l].in and writes slots[l].out for
// every lane l in `active`. `base` is the block index of the warp's lane 0.
typedef void (*WarpFn)(Slot *slots, uint32_t active, int base);

// A launch. CUDA: `grid` counts blocks. Metal (metal = 1): `threads` counts threads, `grid` is
// filled by the runtime, blocks at the edge are smaller.
struct LaunchCfg {
  u3 grid, block;
  size_t dyn;            // bytes of dynamic shared memory
  int metal;
  u3 threads;
  const char *name;      // of the kernel, for messages
  int line;              // of the launch in the candidate's file, 0 if unknown
  const void *function;  // what simt_opt_in was told, or null: the largest opt-in counts
};

// Kinds of warp operations. Kinds below SIMT_VOTES move values between lanes: all lanes that wait
// at one line take part, whatever their masks. The others work on the lanes of one mask.
// Any number at or above SIMT_FREE is the caller's own.
enum {
  SIMT_SHFL_IDX = 0, SIMT_SHFL_UP, SIMT_SHFL_DOWN, SIMT_SHFL_XOR,
  SIMT_VOTES = 16,
  SIMT_SYNC = 16,   // __syncwarp, simdgroup_barrier: fn may be null
  SIMT_ACTIVE = 17, // __activemask: use with mask 0; the returned set is the answer
  SIMT_FREE = 32,
};
// simt_barrier's `red`: what becomes of `pred` over the block.
enum { SIMT_PLAIN = 0, SIMT_COUNT = 1, SIMT_AND = 2, SIMT_OR = 3 };
// simt_allocate's `space`: DEVICE memory is not for host code (the checked build tells), HOST is.
enum { SIMT_DEVICE = 0, SIMT_HOST = 1 };

}  // namespace simt

extern "C" {
extern __thread simt::Tls simt_tls __attribute__((tls_model("initial-exec")));

// Runs a kernel to its end: fn(ctx) once per thread. Returns 0 or CUDA's error number. Launches
// that no device would accept end the process with a diagnostic; an empty grid is error 9 (CUDA)
// or nothing (Metal).
int simt_launch(const simt::LaunchCfg *config, void (*fn)(void *), void *ctx);

// Waits for all threads of the block that have not returned. `line` is the caller's line.
int simt_barrier(int line, int red, int pred);
// Waits for the lanes of `mask` (0: for the lanes that come to this line, as in Metal) and does
// `fn` once for all of them. Returns the lanes that took part.
uint32_t simt_warp(uint32_t mask, int kind, int line, simt::WarpFn fn, const void *in, void *out,
                   int arg, int arg2);

// One call of the candidate's entry begins: what earlier calls have registered is forgotten.
void simt_call(void);
// Names an argument's memory, for messages and for exact bounds. `name` must stay valid. Writable
// memory counts as not initialized.
void simt_register(const char *name, const void *data, size_t bytes, int writable);
// The same for a strided tensor: sizes and strides in elements of `item` bytes.
void simt_register_tensor(const char *name, const void *data, int ndim, const int64_t *shape,
                          const int64_t *strides, int item, int writable);

// Guarded, poisoned memory; null if there is none. Freeing checks what lies around it; freeing
// what is not allocated returns 1 and does nothing.
void *simt_allocate(size_t bytes, int space, const char *name);
int simt_release(void *at);
static inline void *simt_malloc(size_t bytes) { return simt_allocate(bytes, 0, "cudaMalloc"); }
static inline void simt_free(void *at) { simt_release(at); }
// cudaMemcpy and cudaMemset of every kind (overlap allowed): bounds are checked against registered
// memory, and what is copied from uninitialized memory stays so.
void simt_copy(void *to, const void *from, size_t bytes, int line);
void simt_fill(void *to, int byte, size_t bytes, int line);

// cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes): 0 or error 1.
int simt_opt_in(const void *function, size_t bytes);
int simt_last_error(void);  // returns and clears
int simt_peek_error(void);
void simt_set_error(int error);

long simt_launches(void);       // kernels run by this process so far
unsigned simt_poison(void);     // byte that fills memory nobody wrote (changes with the launch)
int simt_checked(void);         // 1 once a checked build is loaded

// A remark that is no defect (once per kind and line); a defect that ends the process, in host code
// too. The judge has words for the kinds in verify/defects.py only: "unsupported", "divergent-warp".
void simt_warn(const char *kind, int line, const char *detail);
[[noreturn]] void simt_die(const char *kind, int line, const char *detail);
// assert() of device code, and __trap().
[[noreturn]] static inline void simt_assert(const char *text, int line) {
  simt_die("trap", line, text);
}
[[noreturn]] static inline void simt_trap(int line) { simt_die("trap", line, "trap"); }
}

namespace simt {
template <class F>
inline int launch_fn(const LaunchCfg &config, F &&f) {
  using Body = std::remove_reference_t<F>;
  return simt_launch(&config, [](void *p) { (*static_cast<Body *>(p))(); }, (void *)&f);
}
}  // namespace simt

#ifndef SIMT_RUNTIME
// The line table of this object, where it is linked with lines.ld: see README.md, "Source lines".
extern "C" {
extern const char __start_simt_lines[] __attribute__((weak, visibility("hidden")));
extern const char __stop_simt_lines[] __attribute__((weak, visibility("hidden")));
__attribute__((weak, used)) const char *simt_lines[2] = {__start_simt_lines, __stop_simt_lines};
__attribute__((weak, used, section(".simt_anchor"))) char simt_anchor[8] = {0};
}
#endif
