// SPDX-License-Identifier: Apache-2.0
// Random programs of barriers, warp operations and branches, run by the runtime and by a model that
// does each step for all threads at once. SIMT_PROGRAMS is their seed.
#include "mini.h"

enum Op { BARRIER, COUNT, SUM, FIRST, ROTATE, SIMD, RETURN, OPS };
// A step: threads whose hash by `salt` is below `share` (of 8) do it as one branch, the others as
// another; steps of a whole block do not branch. `by` varies what it computes.
struct Step {
  int op, share, by;
  unsigned salt;
};
struct Program {
  int length;
  Step step[12];
};

static unsigned next(unsigned &state) { return (state = state * 1664525 + 1013904223) >> 8; }
inline unsigned hash(unsigned t, unsigned salt) { return ((t + 1) * (salt | 1) * 2654435761u) >> 20; }
inline bool taken(const Step &s, unsigned t) {
  return static_cast<int>(hash(t, s.salt) % 8) < s.share;
}
// Whether thread t has returned before step i.
inline bool gone(const Program &p, unsigned t, int i) {
  for (int k = 0; k < i; ++k)
    if (p.step[k].op == RETURN && taken(p.step[k], t) && t % 5) return true;
  return false;
}

static Program random_program(unsigned &state) {
  Program p{static_cast<int>(4 + next(state) % 8), {}};
  for (int i = 0; i < p.length; ++i) {
    Step &s = p.step[i];
    s.op = static_cast<int>(next(state) % OPS);
    if (s.op == RETURN && next(state) % 2) s.op = BARRIER;
    s.share = static_cast<int>(next(state) % 9), s.by = static_cast<int>(1 + next(state) % 7);
    s.salt = next(state);
  }
  return p;
}

// The lanes of t's warp that do step i in the same branch as t.
inline unsigned peers(const Program &p, int i, unsigned t, unsigned threads) {
  unsigned mask = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned u = t / 32 * 32 + lane;
    if (u < threads && !gone(p, u, i) && taken(p.step[i], u) == taken(p.step[i], t))
      mask |= 1u << lane;
  }
  return mask;
}

inline unsigned together(const Program &p, int i, unsigned t, unsigned threads) {
  unsigned mask = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned u = t / 32 * 32 + lane;
    if (u < threads && !gone(p, u, i)) mask |= 1u << lane;
  }
  return mask;
}

__global__ void interpret(const Program &p, int *y) {
  __shared__ int s[1024];
  const unsigned t = threadIdx().x, threads = simt_tls.nthreads;
  int v = static_cast<int>(t);
  for (int i = 0; i < p.length; ++i) {
    const Step &step = p.step[i];
    const unsigned mask = peers(p, i, t, threads);
    const bool branch = taken(step, t);
    if (step.op == BARRIER) sync();
    if (step.op == COUNT) v += sync_count((v + step.by) % 3 == 0);
    if (step.op == SUM) v = v * step.by + warp_sum(mask, v);
    if (step.op == FIRST) v += shuffle<0>(mask, v * step.by, __builtin_ctz(mask));
    if (step.op == ROTATE) {
      sync();
      s[t] = v;
      sync();
      const unsigned u = (t + static_cast<unsigned>(step.by)) % threads;
      if (!gone(p, u, i)) v += s[u];
    }
    if (step.op == SIMD) {
      if (branch)
        v += warp_sum(0, v % 1000);
      else
        v -= warp_sum(0, v % 100);
      sync_warp(together(p, i, t, threads));  // the branches end: see README.md, "Without a mask"
    }
    if (step.op == RETURN && branch && t % 5) break;
  }
  y[t] = v;
}

static void model(const Program &p, int *v, unsigned threads) {
  static int old[1024];
  for (unsigned t = 0; t < threads; ++t) v[t] = static_cast<int>(t);
  for (int i = 0; i < p.length; ++i) {
    const Step &step = p.step[i];
    std::memcpy(old, v, threads * sizeof *v);
    int count = 0;
    for (unsigned t = 0; t < threads; ++t) count += !gone(p, t, i) && (old[t] + step.by) % 3 == 0;
    for (unsigned t = 0; t < threads; ++t) {
      if (gone(p, t, i)) continue;
      const unsigned mask = peers(p, i, t, threads);
      int sum = 0, thousand = 0, hundred = 0;
      for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(mask >> lane & 1)) continue;
        const int w = old[t / 32 * 32 + lane];
        sum += w, thousand += w % 1000, hundred += w % 100;
      }
      const unsigned u = (t + static_cast<unsigned>(step.by)) % threads;
      if (step.op == COUNT) v[t] += count;
      if (step.op == SUM) v[t] = old[t] * step.by + sum;
      if (step.op == FIRST) v[t] += old[t / 32 * 32 + __builtin_ctz(mask)] * step.by;
      if (step.op == ROTATE && !gone(p, u, i)) v[t] += old[u];
      if (step.op == SIMD) v[t] += taken(step, t) ? thousand : -hundred;
    }
  }
}

static int programs() {
  const char *seed = std::getenv("SIMT_PROGRAMS");
  unsigned state = seed ? static_cast<unsigned>(std::atoi(seed)) : 1;
  static int want[1024];
  for (int round = 0; round < 30; ++round) {
    const Program p = random_program(state);
    const unsigned sizes[] = {1, 31, 32, 77, 128, 256}, threads = sizes[next(state) % 6];
    model(p, want, threads);
    int *y = device<int>(nullptr, threads, "y");
    const Program *shared_program = &p;
    cuda("interpret", {2, 1, 1}, {threads, 1, 1}, 0, [=] {
      if (blockIdx().x == 0) interpret(*shared_program, y);
    });
    static int got[1024];
    simt_copy(got, y, threads * sizeof *y, 0);
    for (unsigned t = 0; t < threads; ++t) {
      if (got[t] == want[t]) continue;
      std::fprintf(stderr, "round %d, thread %u of %u: %d instead of %d\n", round, t, threads, got[t],
                   want[t]);
      for (int i = 0; i < p.length; ++i)
        std::fprintf(stderr, "  %d %d %d %u\n", p.step[i].op, p.step[i].share, p.step[i].by,
                     p.step[i].salt);
      return 1;
    }
    simt_release(y);
  }
  return 0;
}

static const Case cases[] = {{"programs", programs}};
extern "C" int run() { return run_case(cases, 1); }
