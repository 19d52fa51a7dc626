// SPDX-License-Identifier: Apache-2.0
// A launch: what a device would refuse, the order of its blocks, and who runs them.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "faults.h"
#include "memory.h"
#include "modules.h"
#include "pool.h"
#include "report.h"
#include "shadow.h"
#include "state.h"

extern "C" {
__thread simt::Tls simt_tls __attribute__((tls_model("initial-exec")));
}

namespace simt {

Settings settings;
Launch current_launch;

// Of compute capability 8.0 to 9.0 (CUDA C++ Programming Guide, technical specifications), and of
// Apple's GPUs since family 4 (Metal feature set tables).
enum : unsigned {
  MOST_THREADS = 1024, MOST_Z = 64, MOST_GRID_X = 0x7fffffff, MOST_GRID_YZ = 65535,
  SHARED = 48 << 10, SHARED_OPT_IN = 227 << 10, THREADGROUP = 32 << 10,
};

static std::atomic<long> launches{0};
static int last_error = 0;
static std::map<const void *, size_t> opted_in;

static uint64_t number_of(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}

__attribute__((constructor)) static void read_settings() {
  settings.seed = number_of("SIMT_SEED", 1);
  settings.poison = static_cast<int>(number_of("SIMT_POISON", ~0ull));
  settings.threads = static_cast<int>(number_of("SIMT_THREADS", 0));
  const char *order = std::getenv("SIMT_ORDER");
  const char *names[] = {"forward", "reverse", "shuffled", "reshuffled"};
  for (int i = 0; order && i < ROTATING; ++i)
    if (std::strcmp(order, names[i]) == 0) settings.order = static_cast<Order>(i);
}

// Never zero: in no type are all of them zero, small or swallowed by both minimum and maximum. As
// float: NaN, 3.4e38, -1.7e38.
static int poison_of(uint64_t seed) {
  static const unsigned char bytes[] = {0xff, 0x7f, 0xfe};
  return settings.poison >= 0 ? settings.poison & 0xff : bytes[(seed >> 8) % 3];
}

[[noreturn]] static void refuse(const LaunchCfg &c, const char *reason, long value, long limit,
                                const char *kind = "launch-error") {
  Line line(kind);
  line.put("kernel", c.name ? c.name : "-").put("reason", reason).put("size", value);
  line.put("limit", limit).put("grid", c.grid).put("dim", c.block);
  if (c.line) line.put("line", c.line);
  line.die();
}

static void check_shape(const LaunchCfg &c) {
  const u3 b = c.block, g = c.grid;
  const unsigned long threads = 1ul * b.x * b.y * b.z;
  if (b.x > MOST_THREADS || b.y > MOST_THREADS || threads > MOST_THREADS)
    refuse(c, "threads", static_cast<long>(threads), MOST_THREADS);
  if (b.z > MOST_Z && !c.metal) refuse(c, "depth", b.z, MOST_Z);
  if (c.metal) return;
  if (g.x > MOST_GRID_X) refuse(c, "grid", g.x, MOST_GRID_X);
  if (g.y > MOST_GRID_YZ || g.z > MOST_GRID_YZ)
    refuse(c, "grid", g.y > g.z ? g.y : g.z, MOST_GRID_YZ);
}

static size_t granted(const LaunchCfg &c) {
  size_t most = 0;
  for (const auto &[function, bytes] : opted_in)
    if ((!c.function || !function || function == c.function) && bytes > most) most = bytes;
  return most;
}

static void check_shared(const LaunchCfg &c, const Module *module) {
  size_t owned = 0;
  const size_t limit = c.metal ? THREADGROUP : SHARED;
  if (module)
    if (const Variable *owner = largest_owner(module, &owned); owner && owned > limit)
      refuse(c, "static", static_cast<long>(owned), static_cast<long>(limit), "shared-memory");
  const size_t total = c.dyn + (module ? static_bytes(module, c.name) : 0);
  if (c.metal ? total > THREADGROUP : total > SHARED_OPT_IN)
    refuse(c, "shared", static_cast<long>(total), c.metal ? THREADGROUP : SHARED_OPT_IN,
           "shared-memory");
  if (!c.metal && total > SHARED && c.dyn > granted(c))
    refuse(c, "opt-in", static_cast<long>(total), SHARED, "shared-memory");
}

static void note_launch(const LaunchCfg &c) {
  Line line("launched", true);
  long key = 0;
  for (const char *at = c.name; at && *at; ++at) key = key * 31 + *at;
  if (line.once(key))
    line.put("kernel", c.name ? c.name : "-").put("grid", c.grid).put("dim", c.block).send();
}

static void begin(const LaunchCfg &c) {
  Launch &launch = current_launch;
  launch.number = launches.fetch_add(1);
  launch.config = &c;
  launch.grid = c.grid;
  launch.seed = mixed(settings.seed, static_cast<uint64_t>(launch.number));
  launch.order = settings.order == ROTATING ? static_cast<Order>((launch.seed >> 40) % ROTATING)
                                            : settings.order;
  launch.poison = poison_of(launch.seed);
}

static bool empty(const LaunchCfg &c) {
  const u3 b = c.block, g = c.metal ? c.threads : c.grid;
  return !b.x || !b.y || !b.z || !g.x || !g.y || !g.z;
}

static LaunchCfg completed(const LaunchCfg &given) {
  LaunchCfg config = given;
  if (config.metal) {
    auto groups = [](unsigned all, unsigned size) { return all / size + (all % size != 0); };
    config.grid = {groups(config.threads.x, config.block.x),
                   groups(config.threads.y, config.block.y),
                   groups(config.threads.z, config.block.z)};
  }
  return config;
}

}  // namespace simt

using namespace simt;

extern "C" int simt_launch(const LaunchCfg *given, void (*fn)(void *), void *ctx) {
  if (simt_tls.in_kernel) refuse(*given, "nested", 1, 0);
  enter_child();
  if (empty(*given)) {
    Line line("empty", true);
    if (line.once(given->line))
      line.put("kernel", given->name ? given->name : "-").put("line", given->line).send();
    return given->metal ? 0 : last_error = 9;
  }
  const LaunchCfg config = completed(*given);
  check_shape(config);
  check_shared(config, module_of(reinterpret_cast<const void *>(fn)));
  note_launch(config);
  begin(config);
  shadow_launch();
  run_blocks(fn, ctx);
  check_canaries();
  current_launch.config = nullptr;
  return 0;
}

extern "C" int simt_opt_in(const void *function, size_t bytes) {
  if (bytes > SHARED_OPT_IN) return last_error = 1;
  opted_in[function] = bytes;
  return 0;
}

extern "C" int simt_last_error(void) {
  const int error = last_error;
  last_error = 0;
  return error;
}
extern "C" int simt_peek_error(void) { return last_error; }
extern "C" void simt_set_error(int error) { last_error = error; }
extern "C" long simt_launches(void) { return launches; }
extern "C" unsigned simt_poison(void) { return static_cast<unsigned>(current_launch.poison); }
