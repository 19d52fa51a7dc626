// SPDX-License-Identifier: Apache-2.0
// The hostile side for Python candidates. Linked with slot.c into a shared library, it makes a
// Python process that has torch loaded into a slot: each forked child puts on the layers of a native
// one and then calls back into Python, which loads the candidate (zygote_process.py).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "dlpack/dlpack.h"
#include "float_mode.h"
#include "hint.h"
#include "sandbox.h"

enum { PAGE = 4096, LINE = 64, FIRST_FD = 3, GAP_PAGES = 4096, AROUND = 16 * PAGE };

// What Python needs of a job; zygote_process.py mirrors it.
static struct {
  KcCall *calls;
  DLTensor *tensors;  // KC_TENSORS per call
  char *in, *out;
  uint32_t count, threads;
} self;
static void (*enter)(void);
static uint64_t own_bytes;  // address space of the interpreter itself
static uint64_t nonce, mode;  // mode: of the floating-point unit, before any code of the candidate

// Before the slot starts: what a child calls, and the size of this process.
void kc_prepare(void (*function)(void), uint64_t bytes) { enter = function, own_bytes = bytes; }

const void *kc_job(void) { return &self; }

static _Noreturn void fail(const char *what) {
  dprintf(2, "harness: %s: %m\n", what);
  _exit(KC_EXIT_HARNESS);
}

static uint64_t down(uint64_t n) { return n & ~(uint64_t)(PAGE - 1); }
static uint64_t up(uint64_t n) { return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1); }

static char *map(int fd, uint64_t size) {
  char *at = mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) fail("mapping a region");
  close(fd);
  return at;
}

// Children of one process would all lie at the same addresses, and a layout favors one kernel over
// another by a percent or two: so a gap of random size goes before whatever is mapped from here on.
static uint64_t shift(void) {
  uint32_t pages = 0;
  if (getrandom(&pages, sizeof pages, GRND_NONBLOCK) != sizeof pages) pages = (uint32_t)getpid();
  const uint64_t size = (uint64_t)(pages % GAP_PAGES + 1) * PAGE;
  return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 0 : size;
}

// Opens the pages of a tensor, for reading only if it is an input, and describes it.
static void place(const KcTensor *from, DLTensor *to, int input) {
  char *region = input ? self.in : self.out;
  const uint64_t first = down(from->offset), last = up(from->offset + from->bytes);
  if (from->bytes &&
      mprotect(region + first, last - first, input ? PROT_READ : PROT_READ | PROT_WRITE))
    fail("opening a tensor");
  to->data = region + from->offset;
  to->device = (DLDevice){kDLCPU, 0};
  to->ndim = from->ndim;
  to->dtype = (DLDataType){from->code, from->bits, from->lanes};
  to->shape = (int64_t *)from->shape;
  to->strides = (int64_t *)from->strides;
}

static void map_regions(const KcJob *job) {
  self.in = map(FIRST_FD + KC_FD_IN, job->in_bytes);
  self.out = map(FIRST_FD + KC_FD_OUT, job->out_bytes);
  if (mprotect(self.in, PAGE, PROT_READ)) fail("the header");
  const KcHeader *header = (const KcHeader *)self.in;
  if (header->magic != KC_MAGIC) fail("the header is not ours");
  const uint64_t size = header->calls * sizeof(KcCall);
  if (mprotect(self.in, up(sizeof *header + size), PROT_READ)) fail("the header");
  self.count = header->calls;
  self.calls = malloc(size);
  self.tensors = calloc((size_t)self.count * KC_TENSORS, sizeof *self.tensors);
  if (!self.calls || !self.tensors) fail("memory");
  memcpy(self.calls, header + 1, size);
  for (uint32_t c = 0; c < self.count; ++c)
    for (uint32_t t = 0; t < self.calls[c].inputs + self.calls[c].outputs; ++t)
      place(self.calls[c].tensor + t, self.tensors + (size_t)c * KC_TENSORS + t,
            t < self.calls[c].inputs);
}

// The six descriptors to 3..8, stderr also to 1 and 2, nothing to read at 0, and nothing else.
static void arrange(const int *fds) {
  int high[KC_FDS];
  for (int i = 0; i < KC_FDS; ++i) high[i] = fcntl(fds[i], F_DUPFD, 64);
  for (int i = 0; i < KC_FDS; ++i) dup2(high[i], FIRST_FD + i);
  for (int i = 0; i < 3; ++i) dup2(high[KC_FD_ERR], i);
  close(0);
  close(FIRST_FD + KC_FD_ERR);
  kc_close_from(FIRST_FD + KC_FDS);
}

// Whether nothing under /proc can be opened: Landlock holds.
static int closed(void) {
  const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd < 0 && errno == EACCES;
}

static void limit(const KcJob *job, int own_user) {
  const uint64_t space = own_bytes + job->memory_bytes + job->in_bytes + job->out_bytes;
  if (job->core >= 0) {
    const long cores = sysconf(_SC_NPROCESSORS_CONF);
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < job->threads; ++i) CPU_SET((job->core + i) % (uint32_t)cores, &set);
    sched_setaffinity(0, sizeof set, &set);
  }
  kc_limit(RLIMIT_AS, space, space);
  kc_limit(RLIMIT_CPU, job->cpu_seconds, job->cpu_seconds + 1);
  kc_limit(RLIMIT_FSIZE, job->output_bytes, job->output_bytes);
  kc_limit(RLIMIT_STACK, 8 << 20, 8 << 20);
  kc_limit(RLIMIT_CORE, 1, 1);  // 1 also keeps a dump from a program that would collect it
  kc_limit(RLIMIT_NOFILE, 32, 32);
  kc_limit(RLIMIT_MEMLOCK, 0, 0);
  if (own_user) kc_limit(RLIMIT_NPROC, job->threads + 16, job->threads + 16);
}

static void say(uint64_t number, uint64_t kind) {
  const KcToken token = {number, kind};
  if (write(FIRST_FD + KC_FD_DONE, &token, sizeof token) != sizeof token) _exit(0);
}

// Called by Python: from here on an exit may be the candidate's doing; and: it is loaded.
void kc_loading(void) {
  mode = float_mode();
  say(0, KC_LOADING);
}
void kc_loaded(void) { say(0, KC_LOADED); }

// Brings every cache line of the calls' tensors to this core, as the native child does.
static void touch(uint32_t first, uint32_t last) {
  volatile char sink = 0;
  for (uint32_t c = first; c < last; ++c)
    for (uint32_t t = 0; t < self.calls[c].inputs + self.calls[c].outputs; ++t) {
      const uint64_t size = self.calls[c].tensor[t].bytes;
      const char *at = self.tensors[(size_t)c * KC_TENSORS + t].data;
      for (uint64_t b = 0; b < size; b += LINE) sink = at[b];
    }
  (void)sink;
}

// Maps the outputs of the calls before they are written; see child.c.
static void map_outputs(uint32_t first, uint32_t last) {
  volatile char sink = 0;
  for (uint32_t c = first; c < last; ++c)
    for (uint32_t t = self.calls[c].inputs; t < self.calls[c].inputs + self.calls[c].outputs; ++t) {
      const char *at = self.tensors[(size_t)c * KC_TENSORS + t].data;
      const char *end = at + self.calls[c].tensor[t].bytes;
      for (; at < end; at = (const char *)down((uintptr_t)at + AROUND)) sink = *at;
    }
  (void)sink;
}

// Called by Python: waits until a run may start. run: first call, one past the last, repetitions.
void kc_next(uint32_t *run) {
  KcGo go;
  uint64_t start;
  if (read(FIRST_FD + KC_FD_GO, &go, sizeof go) != sizeof go) _exit(0);
  uint64_t last = (uint64_t)go.first + go.count;
  if (last > self.count) last = self.count;
  map_outputs(go.first, (uint32_t)last);
  if (go.flags & KC_TOUCH) touch(go.first, (uint32_t)last);
  nonce = go.nonce;
  run[0] = go.first, run[1] = (uint32_t)last, run[2] = go.reps;
  if (!(go.flags & KC_STRAIGHT)) {
    say(nonce, KC_READY);
    if (read(FIRST_FD + KC_FD_GO, &start, sizeof start) != sizeof start) _exit(0);
  }
  errno = 0;
}

// Called by Python: the run is over.
void kc_done(void) {
  if (float_mode() != mode) _exit(KC_EXIT_MODE);
  say(nonce, KC_DONE);
}

_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user) {
  const int filtered = !(skip & KC_NO_SECCOMP) && kc_seccomp_available();
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // A judge that is not root can take outside samples only of a process it may look into. So may
  // then any process of the same user; of candidates there is none that could: no system calls for
  // it, no /proc.
  prctl(PR_SET_DUMPABLE, !own_user && filtered && closed() ? 1 : 0, 0, 0, 0);
  setsid();
  arrange(fds);
  signal(SIGXFSZ, SIG_IGN);  // too much output is lost, not fatal
  self.threads = job->threads;
  own_bytes += shift();
  map_regions(job);
  limit(job, own_user);
  kc_hints(self.calls, self.count, self.in, self.out);
  omp_set_num_threads((int)job->threads);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (filtered && kc_seccomp_strict((int)job->threads)) fail("seccomp");
  enter();
  _exit(KC_EXIT_HARNESS);
}
