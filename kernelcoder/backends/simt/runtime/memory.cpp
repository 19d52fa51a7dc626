// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "report.h"
#include "shadow.h"
#include "state.h"

namespace simt {

constexpr size_t ALIGNED = 16, HEAD = 64, MOST_RETIRED = 4 << 20;

// By address. Host code of a kernel is one thread; blocks on several OS threads only look.
static std::vector<Region> regions;
static std::mutex changing;

static bool before(const Region &a, const Region &b) { return a.base < b.base; }

static void insert(const Region &region) {
  regions.insert(std::upper_bound(regions.begin(), regions.end(), region, before), region);
  shadow_forget();
}

static uintptr_t start(const Region &region) { return reinterpret_cast<uintptr_t>(region.base); }

Region *find_region(uintptr_t at, long *offset) {
  Region probe{};
  probe.base = reinterpret_cast<char *>(at);
  const auto next = std::upper_bound(regions.begin(), regions.end(), probe, before);
  Region *best = nullptr;
  uintptr_t distance = GUARD;
  // Regions do not overlap but may be empty, so the one before that is looked at as well.
  for (auto it = next; it != regions.begin() && next - it < 2;) {
    --it;
    const uintptr_t end = start(*it) + it->bytes;
    const uintptr_t away = at < end ? 0 : at - end + 1;
    if (away <= distance) best = &*it, distance = away;
    if (away == 0) break;
  }
  if (distance && next != regions.end() && start(*next) - at < distance) best = &*next;
  if (best) *offset = static_cast<long>(at - start(*best));
  return best;
}

void each_region(void (*visit)(Region &)) {
  for (Region &region : regions) visit(region);
}

static void check_canary(const Region &region) {
  const char *low = region.map + GUARD, *high = region.map + region.mapped - GUARD;
  const char *from = std::max(low, static_cast<const char *>(region.base) - HEAD);
  auto damaged = [&](const char *at) { return static_cast<unsigned char>(*at) != region.canary; };
  for (const char *at = from; at < high; ++at) {
    if (at == region.base) at += region.bytes;
    if (at >= high || !damaged(at)) continue;
    Line line("canary");
    line.put("arg", region.name).put("offset", at - region.base);
    line.put("size", static_cast<long>(region.bytes));
    if (current_launch.config && current_launch.config->name)
      line.put("kernel", current_launch.config->name);
    line.die();
  }
}

void check_canaries() {
  for (const Region &region : regions)
    if (region.owned) check_canary(region);
}

// Freed memory stays closed for a while, so that nobody else gets its addresses at once.
static void retire(const Region &region) {
  static struct {
    char *map;
    size_t mapped;
  } kept[32];
  static size_t next = 0;
  if (region.mapped > MOST_RETIRED || mprotect(region.map, region.mapped, PROT_NONE)) {
    munmap(region.map, region.mapped);
    return;
  }
  madvise(region.map, region.mapped, MADV_DONTNEED);
  auto &place = kept[next++ % 32];
  if (place.map) munmap(place.map, place.mapped);
  place = {region.map, region.mapped};
}

static void drop(std::vector<Region>::iterator at) {
  shadow_release(*at);
  regions.erase(at);
  shadow_forget();
}

}  // namespace simt

using namespace simt;

extern "C" void simt_call(void) {
  const std::lock_guard<std::mutex> lock(changing);
  for (size_t i = regions.size(); i-- > 0;)
    if (!regions[i].owned) drop(regions.begin() + static_cast<long>(i));
}

extern "C" void simt_register(const char *name, const void *data, size_t bytes, int writable) {
  const std::lock_guard<std::mutex> lock(changing);
  Region region{};
  region.name = name, region.base = static_cast<char *>(const_cast<void *>(data));
  region.bytes = bytes, region.writable = writable != 0;
  insert(region);
}

extern "C" void simt_register_tensor(const char *name, const void *data, int ndim,
                                     const int64_t *shape, const int64_t *strides, int item,
                                     int writable) {
  int64_t low = 0, high = 0;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] == 0) return simt_register(name, data, 0, writable);
    const int64_t span = (shape[d] - 1) * strides[d];
    (span < 0 ? low : high) += span;
  }
  simt_register(name, static_cast<const char *>(data) + low * item,
                static_cast<size_t>((high - low + 1) * item), writable);
}

// Right-aligned in its pages, so that the first byte behind it (but for the alignment of vector
// types) faults; the pages around it do in any case.
extern "C" void *simt_allocate(size_t bytes, int space, const char *name) {
  if (bytes > size_t{1} << 40) return nullptr;
  const size_t body = round_up(bytes ? bytes : 1, ALIGNED), pages = round_up(body, PAGE);
  void *map = mmap(nullptr, pages + 2 * GUARD, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  Region region{};
  region.map = static_cast<char *>(map), region.mapped = pages + 2 * GUARD;
  if (mprotect(region.map + GUARD, pages, PROT_READ | PROT_WRITE)) {
    munmap(map, region.mapped);
    return nullptr;
  }
  region.name = name ? name : "memory", region.bytes = bytes;
  region.base = region.map + GUARD + pages - body;
  region.writable = region.owned = true, region.host = space == SIMT_HOST;
  region.canary = static_cast<unsigned char>(simt_poison());
  std::memset(region.map + GUARD, region.canary, pages);
  const std::lock_guard<std::mutex> lock(changing);
  insert(region);
  return region.base;
}

extern "C" int simt_release(void *at) {
  if (!at) return 0;
  const std::lock_guard<std::mutex> lock(changing);
  for (auto it = regions.begin(); it != regions.end(); ++it) {
    if (it->base != at || !it->owned) continue;
    check_canary(*it);
    retire(*it);
    drop(it);
    return 0;
  }
  return 1;
}

// Whether [at, at + bytes) leaves the region it begins in or misses it narrowly.
static void check_range(const char *access, const void *at, size_t bytes, int line) {
  long offset = 0;
  const Region *region = find_region(reinterpret_cast<uintptr_t>(at), &offset);
  if (!region || bytes == 0) return;
  if (offset >= 0 && static_cast<size_t>(offset) + bytes <= region->bytes) return;
  Line defect(access[0] == 'r' ? "out-of-bounds-read" : "out-of-bounds-write");
  defect.put("arg", region->name).put("offset", offset);
  defect.put("bytes", static_cast<long>(bytes)).put("size", static_cast<long>(region->bytes));
  if (line) defect.put("line", line);
  defect.die();
}

extern "C" void simt_copy(void *to, const void *from, size_t bytes, int line) {
  check_range("read", from, bytes, line);
  check_range("write", to, bytes, line);
  shadow_copy(to, from, bytes);
  std::memmove(to, from, bytes);
}

extern "C" void simt_fill(void *to, int byte, size_t bytes, int line) {
  check_range("write", to, bytes, line);
  shadow_copy(to, nullptr, bytes);
  std::memset(to, byte, bytes);
}
