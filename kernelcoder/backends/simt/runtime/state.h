// SPDX-License-Identifier: Apache-2.0
// What the parts of the runtime share: settings, and the state of one OS thread that runs blocks.
#pragma once
#include <simt/rt.h>

#include <cstdint>

namespace simt {

enum : int { MAX_THREADS = 1024, WARP = 32, MAX_WARPS = MAX_THREADS / WARP };
enum Order : int { FORWARD, REVERSE, SHUFFLED, RESHUFFLED, ROTATING };
enum State : uint8_t { FRESH, READY, AT_BARRIER, AT_WARP, DONE };

// xorshift64*: Marsaglia, "Xorshift RNGs" (2003), with Vigna's multiplier. Small and seeded.
struct Random {
  uint64_t state = 1;
  uint64_t next() {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dull;
  }
  unsigned below(unsigned n) { return static_cast<unsigned>((next() >> 32) * n >> 32); }
};
// splitmix64's finalizer: a well mixed number of any two.
inline uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return (z ^ z >> 31) | 1;
}

// From the environment of the slot, read when the library is loaded.
struct Settings {
  uint64_t seed = 1;
  Order order = ROTATING;    // SIMT_ORDER, for tests; else it changes from launch to launch
  int poison = -1;           // SIMT_POISON, for tests; else as order
  int threads = 0;           // OS threads that run blocks; 0: as many as OpenMP may use
};
extern Settings settings;

// The running launch, the same for all OS threads.
struct Launch {
  const LaunchCfg *config = nullptr;
  u3 grid{0, 0, 0};
  long number = 0;
  uint64_t seed = 1;
  Order order = FORWARD;
  int poison = 0xff;
};
extern Launch current_launch;

// The lanes of a warp that wait in warp operations, and whether all of them in the same one.
struct Group {
  uint32_t waiting, live;
  bool same;
};

// One OS thread that runs blocks, one after the other.
struct Exec {
  void *host = nullptr;      // context of simt_launch
  char *stacks = nullptr;
  int ready_stacks = 0;      // that have their guard page
  char *dynamic = nullptr;   // arena between guards, `capacity` bytes
  size_t capacity = 0;
  Random random;
  void (*body)(void *) = nullptr;
  void *context = nullptr;

  // the block
  int n = 0, warps = 0, current = 0, live = 0, at_barrier = 0;
  bool direct = true;        // nobody has waited yet: threads are plain calls
  uint32_t block = 0;        // number of the block in the launch, from 1
  u3 shape{0, 0, 0};         // bdim that tid[] was made for
  bool ordered = false;      // order[] is the identity or its reverse, as the launch wants it
  uint64_t ready[MAX_THREADS / 64];  // by place in the order
  void *sp[MAX_THREADS];
  u3 tid[MAX_THREADS];
  uint16_t order[MAX_THREADS], place[MAX_THREADS];
  State state[MAX_THREADS];

  // who waits for what
  int line[MAX_THREADS], kind[MAX_THREADS], predicate[MAX_THREADS];
  Slot slot[MAX_THREADS];
  WarpFn function[MAX_THREADS];
  uint32_t active[MAX_THREADS];
  Group warp[MAX_WARPS];
  int reduction = 0, result = 0, first_line = 0, other_line = 0;
  uint32_t barriers = 0;     // passed by this block
};
extern __thread Exec *exec __attribute__((tls_model("initial-exec")));

inline Exec *running() { return simt_tls.in_kernel ? exec : nullptr; }

// schedule.cpp
void run_block(Exec *e, u3 index);
void set_thread(Exec *e, int t);
void make_ready(Exec *e, int t);
void pause(Exec *e);            // the current thread cannot go on: runs others until it can
void promote(Exec *e);
// warp.cpp: lets groups of waiting lanes go on; false if there is none
bool resolve_warps(Exec *e);
// launch.cpp
Exec *this_exec();

// What a kernel's source calls shared memory that has no name here.
inline const char *shared_word() {
  return current_launch.config->metal ? "threadgroup" : "__shared__";
}

constexpr size_t PAGE = 4096, STACK = 128 << 10;
// Arena of dynamic shared memory, and what lies closed on both sides of it.
constexpr size_t DYNAMIC = 228 << 10, GUARD = 64 << 10;
inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace simt
