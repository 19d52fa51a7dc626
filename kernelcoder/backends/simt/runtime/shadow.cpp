// SPDX-License-Identifier: Apache-2.0
// Races, exact bounds and undefined values. Two accesses of a byte by different threads, at least one
// of them a plain write, are a race unless a barrier of the block, a meeting of the warp or (between
// blocks) an atomic operation lies between them. Writes that change nothing are forgiven.
#include "shadow.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstring>

#include "cells.h"
#include "memory.h"
#include "modules.h"
#include "orders.h"
#include "report.h"
#include "state.h"

namespace simt {

namespace {

bool enabled = false;
uint64_t epoch = 1, launch_epoch = 1;  // shared memory is new with each block, the rest per launch
Clocks clocks;
BlockOrder order;

// A stretch of memory with cells.
struct Place {
  const char *name = nullptr, *space = nullptr;
  uintptr_t low = 0;
  size_t bytes = 0;
  Shadow *shadow = nullptr;
  uint64_t epoch = 0;
  bool fresh = false;     // nobody has written it before this block
  bool inside(uintptr_t at) const { return at - low < bytes; }
};
// The places of the last few accesses: a kernel goes back and forth between its arguments.
enum { RECENT = 4 };
Place recent[RECENT];
unsigned oldest = 0;

const Place *known(uintptr_t at) {
  for (const Place &place : recent)
    if (place.inside(at)) return &place;
  return nullptr;
}

void forget() {
  for (Place &place : recent) place = Place();
}

struct Held {
  const void *key = nullptr;
  std::unique_ptr<Shadow> shadow;
};
Held held_static, held_dynamic, held_globals;

Shadow *keep(Held &held, const void *key, size_t bytes) {
  if (held.key != key || !held.shadow || held.shadow->bytes() != bytes)
    held.key = key, held.shadow = std::make_unique<Shadow>(bytes);
  return held.shadow.get();
}

Shadow *shadow_of(Region &region) {
  if (!region.shadow) {
    region.shadow = new Shadow(region.bytes);
    if (region.writable && !region.host) region.shadow->track(false);
  }
  return region.shadow;
}

// Who is about to access what; for messages.
struct Event {
  uintptr_t at;
  size_t bytes;
  Access access;
  const void *pc;
  bool writes() const { return access != Access::READ && access != Access::ATOMIC_READ; }
  bool reads() const { return access != Access::WRITE && access != Access::ATOMIC_STORE; }
  bool atomic() const { return access >= Access::ATOMIC_READ; }
};

// A write that may be a race if it changes something; it has not happened yet.
struct Pending {
  bool waits = false;
  Event event;
  Place place;
  Stamp other;
  const char *what = nullptr;
  u3 thread, block;
  unsigned char before[64];
};
Pending pending;

// The object of the running kernel.
const Module *own_module() {
  static const void *body = nullptr;
  static const Module *module = nullptr;
  const void *now = reinterpret_cast<const void *>(exec->body);
  if (now != body) module = module_of(now), body = now;
  return module;
}

const char *variable_name(const Place &place, uintptr_t at) {
  if (place.name) return place.name;
  const Module *module = own_module();
  const Variable *variable = module ? variable_at(module, at - place.low) : nullptr;
  return variable ? variable->name.c_str() : shared_word();
}

long variable_offset(const Place &place, uintptr_t at) {
  if (place.name) return static_cast<long>(at - place.low);
  const Module *module = own_module();
  const Variable *variable = module ? variable_at(module, at - place.low) : nullptr;
  return static_cast<long>(at - place.low - (variable ? variable->offset : 0));
}

[[noreturn]] void race(const Event &event, const Place &place, Stamp other, const char *what) {
  Line line("race");
  line.put("access", what).whose(place.space, variable_name(place, event.at));
  line.put("offset", variable_offset(place, event.at));
  if (other.block() != (exec->block & Stamp::BLOCKS))
    line.put("between", "blocks");
  else
    line.put("other", exec->tid[other.thread()]);
  if (const int line_of_other = source_line(other.pc)) line.put("other_line", line_of_other);
  line.here().at(event.pc).die();
}

void settle() {
  if (!pending.waits) return;
  pending.waits = false;
  const size_t n = pending.event.bytes < 64 ? pending.event.bytes : 64;
  if (std::memcmp(reinterpret_cast<const void *>(pending.event.at), pending.before, n) == 0) return;
  simt_tls.tid = pending.thread, simt_tls.bid = pending.block;
  race(pending.event, pending.place, pending.other, pending.what);
}

void suspect(const Event &event, const Place &place, Stamp other, const char *what) {
  if (pending.waits) return;
  pending.waits = true;
  pending.event = event, pending.place = place, pending.other = other, pending.what = what;
  pending.thread = simt_tls.tid, pending.block = simt_tls.bid;
  std::memcpy(pending.before, reinterpret_cast<const void *>(event.at),
              event.bytes < 64 ? event.bytes : 64);
}

// Whether what an earlier access did comes before what the running thread does now.
bool comes_before(const Exec *e, Stamp other) {
  if (!other) return true;
  if (other.block() != (e->block & Stamp::BLOCKS)) return order.acquired(other.block());
  const auto thread = static_cast<unsigned>(e->current);
  if (other.thread() == thread || other.barriers() != (e->barriers & Stamp::BARRIERS)) return true;
  return other.thread() / WARP == thread / WARP && clocks.later(thread, other);
}

// A plain read of what nobody wrote may come to nothing: if its value matters, the different
// fillings of such memory show it. What an atomic operation makes of it stays.
void undefined(const Event &event, const Place &place) {
  static const void *said[64];
  const bool certain = event.access == Access::ATOMIC_WRITE;
  const void *&slot = said[reinterpret_cast<uintptr_t>(event.pc) % 64];
  if (!certain && slot == event.pc) return;
  slot = event.pc;
  Line line("uninitialized", !certain);
  const int number = source_line(event.pc);
  if (!certain && !line.once(number)) return;
  line.whose(place.space, variable_name(place, event.at));
  line.put("offset", variable_offset(place, event.at));
  if (number) line.put("line", number);
  line.here();
  certain ? line.die() : line.send();
}

void judge(const Exec *e, const Event &event, const Place &place, const Cell &cell) {
  const bool late = !comes_before(e, cell.writer);
  if (event.access == Access::READ && late) race(event, place, cell.writer, "write-read");
  if (event.access >= Access::ATOMIC_STORE && late)
    race(event, place, cell.writer, "write-atomic");
  if (event.access != Access::WRITE) return;
  if (late)
    suspect(event, place, cell.writer, "write-write");
  else if (!comes_before(e, cell.atomic))
    suspect(event, place, cell.atomic, "atomic-write");
  else if (!comes_before(e, cell.reader))
    suspect(event, place, cell.reader, "read-write");
  else if (!comes_before(e, cell.earlier_reader))
    suspect(event, place, cell.earlier_reader, "read-write");
}

void record(const Event &event, Cell &cell, Stamp me) {
  if (event.writes()) {
    (event.atomic() ? cell.atomic : cell.writer) = me;
  } else if (!event.atomic()) {
    if (cell.reader && !cell.reader.same_thread(me)) cell.earlier_reader = cell.reader;
    cell.reader = me;
  }
}

// The bytes of one element mostly have the same history, and are judged once.
void check_cells(const Exec *e, const Event &event, const Place &place, Cell *cells, size_t n) {
  const Stamp me = Stamp::make(e->block, static_cast<unsigned>(e->current), e->barriers,
                               clocks.own(static_cast<unsigned>(e->current)), event.pc);
  Cell before;
  for (size_t i = 0; i < n; ++i) {
    if (i == 0 || !cells[i].like(before)) {
      before = cells[i];
      if (place.fresh && event.reads() && !before.writer && !before.atomic) undefined(event, place);
      judge(e, event, place, before);
    }
    record(event, cells[i], me);
  }
}

void check(const Exec *e, const Event &event, const Place &place) {
  if (event.atomic()) order.atomic(event.at, e->block, event.writes());
  const size_t first = event.at - place.low, end = first + event.bytes;
  for (size_t at = first; at < end;) {
    size_t n = end - at;
    Cell *cells = place.shadow->cells(at, place.epoch, &n);
    if (cells) check_cells(e, event, place, cells, n);
    at += n;
  }
  if (!place.shadow->tracked()) return;
  for (size_t i = first; i < end; ++i) {
    if (event.reads() && !place.shadow->defined(i)) undefined(event, place);
    if (event.writes()) place.shadow->define(i, true);
  }
}

[[noreturn]] void outside(const Event &event, const char *name, const char *space, long offset,
                          size_t size) {
  Line line(event.writes() ? "out-of-bounds-write" : "out-of-bounds-read");
  line.whose(space, name);
  line.put("offset", offset).put("bytes", static_cast<long>(event.bytes));
  line.put("size", static_cast<long>(size)).here().at(event.pc).die();
}

bool find_shared(uintptr_t at, Place *place) {
  const Module *module = own_module();
  if (const char *shared = shared_of(module)) {
    *place = {nullptr, "shared", reinterpret_cast<uintptr_t>(shared), module->tls_bytes,
              nullptr, epoch, true};
    if (place->inside(at)) {
      place->shadow = keep(held_static, module, module->tls_bytes);
      return true;
    }
  }
  if (!simt_tls.dyn_size) return false;
  *place = {shared_word(), "shared", reinterpret_cast<uintptr_t>(simt_tls.dyn), simt_tls.dyn_size,
            nullptr, epoch, true};
  if (!place->inside(at)) return false;
  place->shadow = keep(held_dynamic, simt_tls.dyn, simt_tls.dyn_size);
  return true;
}

// The object's own variables: __device__ and static ones. What is never written is never a race.
bool find_globals(uintptr_t at, Place *place) {
  const Module *module = own_module();
  if (!module || at - module->low >= module->high - module->low) return false;
  *place = {"variable", "global", module->low, module->high - module->low, nullptr, launch_epoch,
            false};
  place->shadow = keep(held_globals, module, place->bytes);
  return true;
}

const auto heap_low = reinterpret_cast<uintptr_t>(sbrk(0));

bool near_dynamic(const Exec *e, uintptr_t at) {
  return simt_tls.dyn_size && at - reinterpret_cast<uintptr_t>(e->dynamic) < DYNAMIC;
}

// What the host has from malloc is not for the device. Of CUDA launches from C++ only: in a Python
// process a kernel's own arguments may lie there. `low` is where the heap began at load time.
bool on_heap(uintptr_t at) {
  static const bool python = dlsym(RTLD_DEFAULT, "Py_IsInitialized") != nullptr;
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  return !python && !current_launch.config->metal && at - heap_low < end - heap_low;
}

// Finds the place of an access in a kernel; false where nothing is known of it.
bool find(const Exec *e, const Event &event, Place *place) {
  if (find_shared(event.at, place)) return true;
  if (near_dynamic(e, event.at)) {
    const auto low = reinterpret_cast<uintptr_t>(simt_tls.dyn);
    outside(event, shared_word(), "shared", static_cast<long>(event.at - low), simt_tls.dyn_size);
  }
  // What lies near a region may be something else that is known: the object's own variables do.
  long offset = 0;
  Region *region = find_region(event.at, &offset);
  const bool inside = region && offset >= 0 && static_cast<size_t>(offset) < region->bytes;
  if (!inside && find_globals(event.at, place)) return true;
  if (region) {
    if (!inside || static_cast<size_t>(offset) + event.bytes > region->bytes)
      outside(event, region->name, "global", offset, region->bytes);
    *place = {region->name, "global", reinterpret_cast<uintptr_t>(region->base), region->bytes,
              shadow_of(*region), launch_epoch, false};
    return true;
  }
  if (on_heap(event.at)) Line("bad-address").here().at(event.pc).die();
  return false;
}

// Whether a region has all these bytes; the one that find_region finds may only be near.
bool holds(const Region &region, long offset, size_t bytes) {
  return offset >= 0 && static_cast<size_t>(offset) + bytes <= region.bytes;
}

void host_access(const Event &event) {
  long offset = 0;
  const Region *region = find_region(event.at, &offset);
  if (!region || region->host || offset < 0 || static_cast<size_t>(offset) >= region->bytes) return;
  Line line("host-access");
  line.put("arg", region->name).put("offset", offset);
  line.at(event.pc).die();
}

}  // namespace

void shadow_enable() { enabled = true; }

void shadow_launch() {
  if (!enabled) return;
  launch_epoch = ++epoch;
  const u3 grid = current_launch.grid;
  order.launch(uint64_t{grid.x} * grid.y * grid.z + 1);
  forget();
}

void shadow_block(Exec *) {
  if (!enabled) return;
  ++epoch;
  clocks.reset();
  order.begin();
  forget();
}

void shadow_end() { settle(); }

void shadow_warp(Exec *e, int w, uint32_t lanes) {
  (void)e;
  if (enabled) clocks.meet(static_cast<unsigned>(w) * WARP, lanes);
}

void shadow_forget() { forget(); }

void shadow_release(Region &region) {
  delete region.shadow;
  region.shadow = nullptr;
}

void shadow_copy(void *to, const void *from, size_t bytes) {
  if (!enabled) return;
  long target = 0, source = 0;
  Region *into = find_region(reinterpret_cast<uintptr_t>(to), &target);
  if (!into || !into->writable || !holds(*into, target, bytes)) return;
  Shadow *shadow = shadow_of(*into);
  const Region *out = from ? find_region(reinterpret_cast<uintptr_t>(from), &source) : nullptr;
  if (out && !holds(*out, source, bytes)) out = nullptr;
  for (size_t i = 0; i < bytes; ++i)
    shadow->define(static_cast<size_t>(target) + i,
                   !out || !out->writable || !out->shadow ||
                       out->shadow->defined(static_cast<size_t>(source) + i));
}

void shadow_access(const volatile void *address, size_t bytes, Access access, const void *pc) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const Event event{at, bytes, access, static_cast<const char *>(pc) - 1};
  const Exec *e = exec;
  if (!simt_tls.in_kernel) return host_access(event);
  if (at - reinterpret_cast<uintptr_t>(e->stacks) < STACK * MAX_THREADS) return;
  // Values of a warp's lanes lie in here, and a tensor may happen to lie close behind it.
  if (at - reinterpret_cast<uintptr_t>(e) < sizeof *e) return;
  settle();
  const Place *place = known(at);
  if (!place) {
    Place &next = recent[oldest++ % RECENT];
    if (!find(e, event, &next)) {
      next = Place();
      return;
    }
    place = &next;
  }
  if (at - place->low + bytes > place->bytes)
    outside(event, variable_name(*place, at), place->space, variable_offset(*place, at),
            place->bytes);
  check(e, event, *place);
}

}  // namespace simt

extern "C" int simt_checked(void) { return simt::enabled; }
