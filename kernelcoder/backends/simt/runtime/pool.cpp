// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <new>
#include <numeric>

#include "faults.h"
#include "report.h"
#include "state.h"

namespace simt {

namespace {

struct Job {
  void (*body)(void *);
  void *context;
  uint64_t blocks, step, offset;  // block i is number (i * step + offset) % blocks
  std::atomic<uint64_t> next{0};
  uint64_t chunk;
};
Job job;

struct Pool {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
  unsigned long round = 0;
  int workers = 0, busy = 0;
  bool asked = false;
};
Pool pool;

// The dynamic shared memory of a block: it ends (but for alignment) where touching faults.
void place_dynamic(Exec *e, size_t bytes) {
  Tls &tls = simt_tls;
  tls.dyn_size = bytes;
  tls.dyn = nullptr;
  if (!bytes) return;
  const size_t size = round_up(bytes, 16), pages = round_up(size, PAGE);
  if (!e->dynamic) {
    void *at = mmap(nullptr, DYNAMIC + 2 * GUARD, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) simt_die("memory", 0, "shared memory");
    e->dynamic = static_cast<char *>(at) + GUARD;
  }
  char *end = e->dynamic + DYNAMIC;
  if (pages != e->capacity) {
    mprotect(e->dynamic, DYNAMIC, PROT_NONE);
    if (mprotect(end - pages, pages, PROT_READ | PROT_WRITE))
      simt_die("memory", 0, "shared memory");
    e->capacity = pages;
  }
  tls.dyn = end - size;
}

void work() {
  Exec *e = this_exec();
  const Launch &launch = current_launch;
  const u3 grid = launch.grid;
  Tls &tls = simt_tls;
  tls.gdim = grid, tls.gsize = launch.config->threads, tls.tgmax = launch.config->block;
  tls.warpsize = WARP;
  place_dynamic(e, launch.config->dyn);
  e->body = job.body, e->context = job.context, e->ordered = false, e->shape = {0, 0, 0};
  for (;;) {
    const uint64_t first = job.next.fetch_add(job.chunk);
    if (first >= job.blocks) return;
    const uint64_t last = first + job.chunk < job.blocks ? first + job.chunk : job.blocks;
    for (uint64_t i = first; i < last; ++i) {
      e->random.state = mixed(launch.seed, i);
      e->block = static_cast<uint32_t>(i + 1);
      const uint64_t at = (i * job.step + job.offset) % job.blocks;
      run_block(e, {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                    static_cast<unsigned>(at / grid.x / grid.y)});
    }
  }
}

void *worker(void *) {
  unsigned long seen = 0;
  for (;;) {
    pthread_mutex_lock(&pool.lock);
    while (pool.round == seen) pthread_cond_wait(&pool.work, &pool.lock);
    seen = pool.round;
    pthread_mutex_unlock(&pool.lock);
    work();
    pthread_mutex_lock(&pool.lock);
    if (--pool.busy == 0) pthread_cond_signal(&pool.idle);
    pthread_mutex_unlock(&pool.lock);
  }
}

// As many as the harness grants a candidate, which it tells OpenMP.
int allowed_threads() {
  if (settings.threads > 0) return settings.threads;
  int (*granted)(void);
  *reinterpret_cast<void **>(&granted) = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  return granted ? granted() : 1;
}

// Where the sandbox grants no threads, the first attempt fails and the launch runs on this one.
void start_workers() {
  pool.asked = true;
  const int allowed = allowed_threads();
  for (int i = 1; i < allowed && i < 64; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, worker, nullptr)) return;
    pthread_detach(thread);
    ++pool.workers;
  }
}

// Which block comes when: forwards, backwards, or in steps that have no divisor in common with
// their number, which reach each of them once.
void order_blocks(uint64_t blocks) {
  const Launch &launch = current_launch;
  job.blocks = blocks, job.step = 1, job.offset = 0;
  if (launch.order == REVERSE) job.step = blocks - 1, job.offset = blocks - 1;
  if (launch.order >= SHUFFLED && blocks > 2 && blocks < uint64_t{1} << 31) {
    job.step = launch.seed % blocks;
    while (std::gcd(job.step, blocks) != 1) job.step = (job.step + 1) % blocks;
    job.offset = (launch.seed >> 32) % blocks;
  }
}

}  // namespace

Exec *this_exec() {
  if (!exec) {
    void *at = mmap(nullptr, sizeof(Exec), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) simt_die("memory", 0, "the scheduler");
    exec = new (at) Exec();
    alternate_stack();
  }
  return exec;
}

void run_blocks(void (*body)(void *), void *context) {
  const u3 grid = current_launch.grid;
  order_blocks(uint64_t{grid.x} * grid.y * grid.z);
  job.body = body, job.context = context, job.next = 0;
  const bool alone = settings.threads == 1 || simt_checked() || job.blocks == 1;
  if (!alone && !pool.asked) start_workers();
  const int helpers = alone ? 0 : pool.workers;
  job.chunk = job.blocks / (8 * (static_cast<uint64_t>(helpers) + 1)) + 1;
  if (helpers) {
    pthread_mutex_lock(&pool.lock);
    pool.busy = pool.workers;
    ++pool.round;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
  }
  work();
  if (!helpers) return;
  pthread_mutex_lock(&pool.lock);
  while (pool.busy) pthread_cond_wait(&pool.idle, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
}

}  // namespace simt
