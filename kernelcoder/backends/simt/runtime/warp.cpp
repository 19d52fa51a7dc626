// SPDX-License-Identifier: Apache-2.0
// Operations of the lanes of a warp among each other. A lane brings its slot and waits; when its
// group is complete, one function does the work of all lanes.
//
// A group is complete when every lane of its mask that has not returned waits with the same
// operation and mask: what CUDA documents for the _sync functions. Where threads would wait for ever
// (a mask names lanes that are elsewhere) or no mask is given (Metal, __activemask), the lanes that
// wait at the lowest line go on: code is structured, so the others come to that line no more before
// these have passed it.
#include "report.h"
#include "shadow.h"
#include "state.h"

namespace simt {

static uint32_t lane_bit(int t) { return 1u << t % WARP; }

// The waiting lanes of warp w that satisfy a condition on their thread.
template <class F>
static uint32_t lanes_where(const Exec *e, int w, F &&condition) {
  uint32_t found = 0;
  for (uint32_t left = e->warp[w].waiting; left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    if (condition(w * WARP + lane)) found |= 1u << lane;
  }
  return found;
}

static void note_outside(const Exec *e, int t) {
  const Slot &slot = e->slot[t];
  if (!slot.mask || slot.mask & lane_bit(t)) return;
  Line line("divergent-warp", true);
  if (line.once(slot.line)) line.put("line", slot.line).put_hex("mask", slot.mask).here().send();
}

// Does the operation for lanes of one mask (all of them, for what moves values) and wakes them.
static void release(Exec *e, int w, uint32_t lanes) {
  Group &group = e->warp[w];
  Slot *slots = e->slot + w * WARP;
  const int kind = e->kind[w * WARP + __builtin_ctz(lanes)];
  if (kind != SIMT_ACTIVE) shadow_warp(e, w, lanes);
  for (uint32_t left = lanes; left;) {
    const int first = w * WARP + __builtin_ctz(left);
    const uint32_t mask = e->slot[first].mask;
    const uint32_t part = kind < SIMT_VOTES ? left : left & lanes_where(e, w, [&](int t) {
      return e->slot[t].mask == mask;
    });
    if (e->function[first]) e->function[first](slots, part, w * WARP);
    left &= ~part;
    for (uint32_t rest = part; rest; rest &= rest - 1) {
      const int t = w * WARP + __builtin_ctz(rest);
      if (mask) note_outside(e, t);
      e->active[t] = part;
      make_ready(e, t);
    }
  }
  group.waiting &= ~lanes;
  group.same = group.waiting == 0;
}

// Whether the mask of a lane names it, so that it waits for the others that are named.
static bool promised(const Exec *e, int t) { return (e->slot[t].mask & lane_bit(t)) != 0; }

// Whether all lanes that waiting lane t was promised wait with it.
static bool complete(const Exec *e, int w, int t) {
  const uint32_t mask = e->slot[t].mask;
  const uint32_t peers = lanes_where(e, w, [&](int u) {
    return e->kind[u] == e->kind[t] && e->slot[u].mask == mask;
  });
  return promised(e, t) && !(mask & e->warp[w].live & ~peers);
}

// Groups of warp w that are complete by their masks. Those that move values go together from one
// line, with the lanes there that are outside of their own masks: hardware does not keep them apart.
static bool release_complete(Exec *e, int w) {
  const uint32_t ready = lanes_where(e, w, [&](int t) { return complete(e, w, t); });
  for (uint32_t left = ready; left;) {
    const int t = w * WARP + __builtin_ctz(left), kind = e->kind[t];
    const Slot &slot = e->slot[t];
    const uint32_t lanes = lanes_where(e, w, [&](int u) {
      if (e->kind[u] != kind) return false;
      if (left & lane_bit(u) && e->slot[u].mask == slot.mask) return true;
      if (kind >= SIMT_VOTES || e->slot[u].line != slot.line || !e->slot[u].mask) return false;
      return (left & lane_bit(u)) != 0 || !promised(e, u);
    });
    release(e, w, lanes);
    left &= ~lanes;
  }
  return ready != 0;
}

// The lanes of warp w at the lowest line; lanes whose mask promises others, only if all have one.
static bool release_lowest(Exec *e, int w) {
  Group &group = e->warp[w];
  if (!group.waiting) return false;
  int best = -1;
  for (uint32_t left = group.waiting; left; left &= left - 1) {
    const int t = w * WARP + __builtin_ctz(left);
    const bool other = best >= 0 && promised(e, t) != promised(e, best);
    if (best < 0 || (other ? promised(e, best) : e->slot[t].line < e->slot[best].line)) best = t;
  }
  const Slot &slot = e->slot[best];
  const uint32_t lanes = lanes_where(e, w, [&](int t) {
    return e->kind[t] == e->kind[best] && e->slot[t].line == slot.line;
  });
  const uint32_t missing = slot.mask & group.live & ~lanes;
  if (missing && slot.mask & lane_bit(best)) {
    Line line("divergent-warp", true);
    if (line.once(slot.line))
      line.put("line", slot.line).put_hex("mask", slot.mask).put_hex("missing", missing).here().send();
  }
  release(e, w, lanes);
  return true;
}

bool resolve_warps(Exec *e) {
  bool any = false;
  for (int w = 0; w < e->warps; ++w)
    if (e->warp[w].waiting) any |= release_complete(e, w);
  if (any) return true;
  for (int w = 0; w < e->warps; ++w) any |= release_lowest(e, w);
  return any;
}

}  // namespace simt

using namespace simt;

extern "C" uint32_t simt_warp(uint32_t mask, int kind, int line, WarpFn fn, const void *in, void *out,
                              int arg, int arg2) {
  Exec *e = running();
  if (!e) simt_die("host", line, "warp operation");
  if (e->direct) promote(e);
  const int t = e->current, w = t / WARP;
  Group &group = e->warp[w];
  e->slot[t] = {in, out, arg, arg2, line, mask};
  e->kind[t] = kind, e->function[t] = fn, e->line[t] = line;
  if (group.waiting == 0) {
    group.same = true;
  } else if (group.same) {
    const int other = w * WARP + __builtin_ctz(group.waiting);
    group.same =
        e->kind[other] == kind && e->slot[other].mask == mask && e->slot[other].line == line;
  }
  group.waiting |= lane_bit(t);
  e->state[t] = AT_WARP;
  if (group.same && group.waiting == group.live) {
    release(e, w, group.waiting);
    return e->active[t];
  }
  pause(e);
  return e->active[t];
}
