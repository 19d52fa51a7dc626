// SPDX-License-Identifier: Apache-2.0
// Runs the threads of a block. They are called one after the other until one has to wait; only then
// does the block become fibers: whoever returned stays done, the waiting one keeps its stack.
#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "memory.h"
#include "modules.h"
#include "report.h"
#include "shadow.h"
#include "state.h"
#include "switch.h"

namespace simt {

__thread Exec *exec __attribute__((tls_model("initial-exec")));

void set_thread(Exec *e, int t) {
  Tls &tls = simt_tls;
  tls.tid = e->tid[t];
  tls.lin = static_cast<unsigned>(t);
  tls.lane = static_cast<unsigned>(t) % WARP;
  tls.warp = static_cast<unsigned>(t) / WARP;
  const LaunchCfg *config = current_launch.config;
  if (config->metal) {
    tls.gpos = {tls.bid.x * config->block.x + tls.tid.x, tls.bid.y * config->block.y + tls.tid.y,
                tls.bid.z * config->block.z + tls.tid.z};
  }
  e->current = t;
}

void make_ready(Exec *e, int t) {
  e->state[t] = READY;
  e->ready[e->place[t] >> 6] |= 1ull << (e->place[t] & 63);
}

static void unready(Exec *e, int t) { e->ready[e->place[t] >> 6] &= ~(1ull << (e->place[t] & 63)); }

// The next runnable place at or after `from`, cyclically; -1 if there is none.
static int next_ready(const Exec *e, int from) {
  const int words = (e->n + 63) >> 6;
  if (from >= e->n) from = 0;
  int word = from >> 6;
  uint64_t bits = e->ready[word] & (~0ull << (from & 63));
  for (int i = 0; i <= words; ++i) {
    if (bits) return (word << 6) + __builtin_ctzll(bits);
    if (++word >= words) word = 0;
    bits = e->ready[word];
  }
  return -1;
}

// Stacks lie in one reservation, each above a page nobody may touch. Their tops are staggered: equal
// frames of all threads would otherwise fall into the same sets of the cache.
static char *stack_bottom(Exec *e, int t) { return e->stacks + static_cast<size_t>(t) * STACK; }

static void map_stacks(Exec *e, int needed) {
  if (!e->stacks) {
    void *at = mmap(nullptr, STACK * MAX_THREADS, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) simt_die("memory", 0, "stacks of the threads");
    e->stacks = static_cast<char *>(at);
  }
  for (; e->ready_stacks < needed; ++e->ready_stacks) {
    char *bottom = stack_bottom(e, e->ready_stacks);
    if (mprotect(bottom + PAGE, STACK - PAGE, PROT_READ | PROT_WRITE))
      simt_die("memory", 0, "stacks of the threads");
    // Where the frames will be: zeros would make locals look right that nobody has set.
    std::memset(bottom + STACK - PAGE, current_launch.poison, PAGE);
  }
}

static void fiber_main();

static void prepare(Exec *e, int t) {
  if (t >= e->ready_stacks) map_stacks(e, e->n);
  char *bottom = stack_bottom(e, t) + PAGE;
  e->sp[t] = fresh_context(bottom, bottom + STACK - PAGE - (t % 64) * 64, fiber_main);
}

[[noreturn]] static void leave(Exec *e) {
  void *lost;
  simt_switch(&lost, e->host);
  __builtin_unreachable();
}

// Goes on with thread t instead of `from`.
static void go(Exec *e, int t, int from) {
  if (e->state[t] == FRESH) prepare(e, t);
  e->state[t] = READY;
  set_thread(e, t);
  if (t != from) simt_switch(&e->sp[from], e->sp[t]);
}

static void shuffle(Exec *e) {
  for (int i = e->n - 1; i > 0; --i)
    std::swap(e->order[i], e->order[e->random.below(static_cast<unsigned>(i) + 1)]);
  for (int i = 0; i < e->n; ++i) e->place[e->order[i]] = static_cast<uint16_t>(i);
}

static void release_barrier(Exec *e) {
  if (e->other_line) {
    Line line("divergent-barrier");
    line.put("line", e->first_line).put("other", e->other_line);
    line.here().die();
  }
  if (e->live != e->n) note_exited(e->first_line, e->live, e->n);
  int count = 0;
  for (int t = 0; t < e->n; ++t) count += e->state[t] == AT_BARRIER && e->predicate[t];
  e->result = e->reduction == SIMT_COUNT ? count
              : e->reduction == SIMT_AND ? count == e->at_barrier
                                         : count > 0;
  if (current_launch.order == RESHUFFLED) shuffle(e);
  e->at_barrier = 0;
  for (int t = 0; t < e->n; ++t)
    if (e->state[t] == AT_BARRIER) make_ready(e, t);
  ++e->barriers;
}

// Nobody can run. Warp operations first: who waits at the barrier may wait for them.
static void unblock(Exec *e) {
  if (resolve_warps(e)) return;
  if (e->at_barrier && e->at_barrier == e->live) return release_barrier(e);
  Line line("deadlock");
  line.put("lanes", e->live);
  line.here().die();
}

void pause(Exec *e) {
  const int t = e->current;
  unready(e, t);
  int place = next_ready(e, e->place[t] + 1);
  if (place < 0) {
    unblock(e);
    place = next_ready(e, 0);
  }
  go(e, e->order[place], t);
}

// The current thread has returned from the kernel.
[[noreturn]] static void finish(Exec *e) {
  const int t = e->current;
  e->state[t] = DONE;
  e->warp[t / WARP].live &= ~(1u << t % WARP);
  if (--e->live == 0) leave(e);
  pause(e);
  __builtin_unreachable();
}

static void fiber_main() {
  Exec *e = exec;
  if (!e->direct) {
    e->body(e->context);
    finish(e);
  }
  for (int place = 0; place < e->n; ++place) {
    set_thread(e, e->order[place]);
    e->body(e->context);
    if (!e->direct) finish(e);
  }
  e->live = 0;
  leave(e);
}

void promote(Exec *e) {
  e->direct = false;
  const int reached = e->place[e->current];
  e->live = e->n - reached;
  std::memset(e->ready, 0, sizeof e->ready);
  for (int w = 0; w < e->warps; ++w) e->warp[w] = {0, 0, true};
  for (int place = 0; place < e->n; ++place) {
    const int t = e->order[place];
    e->state[t] = place < reached ? DONE : FRESH;
    if (place < reached) continue;
    e->warp[t / WARP].live |= 1u << t % WARP;
    e->ready[place >> 6] |= 1ull << (place & 63);
  }
  e->state[e->current] = READY;
}

// Numbers the threads of a block of this shape and puts them in the order of the launch.
static void arrange(Exec *e, u3 shape) {
  const bool same = e->shape.x == shape.x && e->shape.y == shape.y && e->shape.z == shape.z;
  const Order order = current_launch.order;
  if (!same) {
    e->shape = shape;
    e->n = static_cast<int>(shape.x * shape.y * shape.z);
    e->warps = (e->n + WARP - 1) / WARP;
    int t = 0;
    for (unsigned z = 0; z < shape.z; ++z)
      for (unsigned y = 0; y < shape.y; ++y)
        for (unsigned x = 0; x < shape.x; ++x) e->tid[t++] = {x, y, z};
  }
  if (!same || !e->ordered) {
    for (int i = 0; i < e->n; ++i)
      e->order[i] = static_cast<uint16_t>(order == REVERSE ? e->n - 1 - i : i);
    for (int i = 0; i < e->n; ++i) e->place[e->order[i]] = static_cast<uint16_t>(i);
    e->ordered = order == FORWARD || order == REVERSE;
  }
  if (!e->ordered) shuffle(e);
}

void run_block(Exec *e, u3 index) {
  const LaunchCfg *config = current_launch.config;
  u3 shape = config->block;
  if (config->metal) {
    auto rest = [](unsigned all, unsigned at, unsigned size) {
      return all - at * size < size ? all - at * size : size;
    };
    shape = {rest(config->threads.x, index.x, shape.x), rest(config->threads.y, index.y, shape.y),
             rest(config->threads.z, index.z, shape.z)};
  }
  arrange(e, shape);
  Tls &tls = simt_tls;
  tls.bid = index, tls.bdim = shape, tls.nthreads = static_cast<unsigned>(e->n);
  e->direct = true, e->live = e->n, e->at_barrier = 0, e->barriers = 0, e->other_line = 0;
  poison_shared(e);
  shadow_block(e);
  prepare(e, e->order[0]);
  tls.in_kernel = 1;
  set_thread(e, e->order[0]);
  simt_switch(&e->host, e->sp[e->order[0]]);
  shadow_end();
  tls.in_kernel = 0;
}

}  // namespace simt

using namespace simt;

extern "C" int simt_barrier(int line, int red, int pred) {
  Exec *e = running();
  if (!e) return pred;
  if (e->direct) promote(e);
  const int t = e->current;
  if (e->at_barrier++ == 0)
    e->first_line = line, e->reduction = red;
  else if (line != e->first_line)
    e->other_line = line;
  e->state[t] = AT_BARRIER, e->line[t] = line, e->predicate[t] = pred != 0;
  pause(e);
  return e->result;
}
