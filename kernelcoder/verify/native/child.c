// SPDX-License-Identifier: Apache-2.0
// The hostile side: one process per candidate. It maps the regions, puts on the sandbox, loads
// the candidate (its constructors run here, so only now) and calls it when told to. Nothing this
// process says is believed; see docs/isolation.md.
#define _GNU_SOURCE
#include "child.h"

#include <dlfcn.h>
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
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "dlpack/dlpack.h"
#include "float_mode.h"
#include "hint.h"
#include "sandbox.h"

enum { PAGE = 4096, LINE = 64, FIRST_FD = 3, AROUND = 16 * PAGE, SOILED = 16384 };

// Any task's kernel is called through this one type. Both ABIs we know (System V x86-64, AAPCS64)
// pass pointers and doubles in separate registers, and pointers that no longer fit on the stack
// in order with the caller cleaning up; so arguments a kernel does not declare never reach it.
typedef void (*Kernel)(const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                       const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                       double, double, double, double);

static struct {
  KcCall *calls;
  DLTensor *tensors;  // KC_TENSORS per call
  uint32_t count;
  char *in, *out, *scratch;
  uint64_t *copied;  // per tensor: offset of its copy in scratch plus one; 0 if it needs none
  Kernel kernel;
  uint64_t mode;  // of the floating-point unit, before any code of the candidate
} self;

static _Noreturn void fail(const char *what) {
  dprintf(2, "harness: %s: %m\n", what);
  _exit(KC_EXIT_HARNESS);
}

static uint64_t down(uint64_t n) { return n & ~(uint64_t)(PAGE - 1); }
static uint64_t up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }

static char *map(int fd, uint64_t size) {
  char *at = mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) fail("mapping a region");
  return at;
}

// Opens the pages of the tensors; what lies between them stays closed and is the guard.
static void open_tensors(const KcCall *call) {
  for (uint32_t t = 0; t < call->inputs + call->outputs; ++t) {
    const KcTensor *tensor = call->tensor + t;
    const int input = t < call->inputs;
    if (tensor->bytes == 0) continue;
    const uint64_t first = down(tensor->offset);
    const uint64_t last = up(tensor->offset + tensor->bytes, PAGE);
    if (mprotect((input ? self.in : self.out) + first, last - first,
                 input ? PROT_READ : PROT_READ | PROT_WRITE))
      fail("opening a tensor");
  }
}

static void map_regions(const KcJob *job) {
  self.in = map(FIRST_FD + KC_FD_IN, job->in_bytes);
  self.out = map(FIRST_FD + KC_FD_OUT, job->out_bytes);
  if (mprotect(self.in, PAGE, PROT_READ)) fail("the header");
  const KcHeader *header = (const KcHeader *)self.in;
  if (header->magic != KC_MAGIC) fail("the header is not ours");
  const uint64_t size = header->calls * sizeof(KcCall);
  if (mprotect(self.in, up(sizeof *header + size, PAGE), PROT_READ)) fail("the header");
  self.count = header->calls;
  self.calls = malloc(size);
  self.tensors = calloc(header->calls * KC_TENSORS, sizeof *self.tensors);
  self.copied = calloc(header->calls * KC_TENSORS, sizeof *self.copied);
  if (!self.calls || !self.tensors || !self.copied) fail("memory");
  memcpy(self.calls, header + 1, size);
  for (uint32_t c = 0; c < self.count; ++c) open_tensors(self.calls + c);
  close(FIRST_FD + KC_FD_IN);
  close(FIRST_FD + KC_FD_OUT);
}

static void describe(uint32_t c) {
  KcCall *call = self.calls + c;
  for (uint32_t t = 0; t < call->inputs + call->outputs; ++t) {
    KcTensor *from = call->tensor + t;
    DLTensor *to = self.tensors + c * KC_TENSORS + t;
    to->data = (t < call->inputs ? self.in : self.out) + from->offset;
    to->device = (DLDevice){kDLCPU, 0};
    to->ndim = from->ndim;
    to->dtype = (DLDataType){from->code, from->bits, from->lanes};
    to->shape = from->shape;
    to->strides = from->strides;
  }
}

static int contiguous(const KcTensor *tensor) {
  int64_t want = 1;
  for (int d = tensor->ndim - 1; d >= 0; --d) {
    if (tensor->shape[d] != 1 && tensor->strides[d] != want) return 0;
    want *= tensor->shape[d];
  }
  return 1;
}

static uint64_t packed_bytes(const KcTensor *tensor) {
  uint64_t n = tensor->bits / 8;
  for (int d = 0; d < tensor->ndim; ++d) n *= (uint64_t)tensor->shape[d];
  return n;
}

// Room for the copies of the largest call: kept across calls, so that the timed region pays for
// copying and not for allocating.
static void plan_copies(void) {
  uint64_t room = 0;
  for (uint32_t c = 0; c < self.count; ++c) {
    uint64_t used = 0;
    for (uint32_t t = 0; t < self.calls[c].inputs; ++t) {
      const KcTensor *tensor = self.calls[c].tensor + t;
      if (contiguous(tensor) && tensor->offset % LINE == 0) continue;
      self.copied[c * KC_TENSORS + t] = used + 1;
      used += up(packed_bytes(tensor), LINE);
    }
    if (used > room) room = used;
  }
  if (room && posix_memalign((void **)&self.scratch, LINE, room)) fail("memory for copies");
}

// Copies dimension d onwards of a strided tensor to `to`, row-major; returns the end.
static char *pack(char *to, const char *from, const KcTensor *tensor, int d) {
  const size_t item = tensor->bits / 8;
  if (d == tensor->ndim) {
    memcpy(to, from, item);
    return to + item;
  }
  const int64_t n = tensor->shape[d], stride = tensor->strides[d];
  if (d == tensor->ndim - 1 && stride == 1) {
    memcpy(to, from, (size_t)n * item);
    return to + (size_t)n * item;
  }
  if (d == tensor->ndim - 1 && item == 4) {
    for (int64_t i = 0; i < n; ++i) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i * stride];
    return to + (size_t)n * item;
  }
  if (d == tensor->ndim - 1 && item == 2) {
    for (int64_t i = 0; i < n; ++i) ((uint16_t *)to)[i] = ((const uint16_t *)from)[i * stride];
    return to + (size_t)n * item;
  }
  for (int64_t i = 0; i < n; ++i) to = pack(to, from + (size_t)(i * stride) * item, tensor, d + 1);
  return to;
}

static void call_one(uint32_t c) {
  const KcCall *call = self.calls + c;
  DLTensor *t = self.tensors + c * KC_TENSORS;
  DLTensor moved[KC_TENSORS];
  static int64_t strides[KC_TENSORS][KC_DIMS];
  if (self.scratch) {
    memcpy(moved, t, sizeof moved);
    for (uint32_t i = 0; i < call->inputs; ++i) {
      if (!self.copied[c * KC_TENSORS + i]) continue;
      char *to = self.scratch + self.copied[c * KC_TENSORS + i] - 1;
      pack(to, t[i].data, call->tensor + i, 0);
      int64_t step = 1;
      for (int d = t[i].ndim - 1; d >= 0; step *= t[i].shape[d], --d) strides[i][d] = step;
      moved[i].data = to;
      moved[i].strides = strides[i];
    }
    t = moved;
  }
  const double *s = call->scalar;
  self.kernel(t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6, t + 7, s[0], s[1], s[2], s[3]);
  if (float_mode() != self.mode) _exit(KC_EXIT_MODE);
}

// Brings every cache line of the calls' tensors to this core: the judge has just rewritten the inputs
// on its own, and fetching them from there would be timed as the kernel's work.
static void touch(uint32_t first, uint32_t last) {
  volatile char sink;
  for (uint32_t c = first; c < last; ++c)
    for (uint32_t t = 0; t < self.calls[c].inputs + self.calls[c].outputs; ++t) {
      const KcTensor *tensor = self.calls[c].tensor + t;
      const char *at = self.tensors[c * KC_TENSORS + t].data;
      for (uint64_t b = 0; b < tensor->bytes; b += LINE) sink = at[b];
      if (tensor->bytes) sink = at[tensor->bytes - 1];
    }
  (void)sink;
}

// Maps the outputs of the calls before they are written. A read brings in 16 pages at a time, and
// writable ones at that; a write only its own page, and that is dearer than most kernels' work on it.
static void map_outputs(uint32_t first, uint32_t last) {
  volatile char sink = 0;
  for (uint32_t c = first; c < last; ++c)
    for (uint32_t t = self.calls[c].inputs; t < self.calls[c].inputs + self.calls[c].outputs; ++t) {
      const KcTensor *tensor = self.calls[c].tensor + t;
      const char *at = self.tensors[c * KC_TENSORS + t].data, *end = at + tensor->bytes;
      for (; at < end; at = (const char *)down((uintptr_t)at + AROUND)) sink = *at;
    }
  (void)sink;
}

static void say(uint64_t nonce, uint64_t kind) {
  const KcToken token = {nonce, kind};
  if (write(FIRST_FD + KC_FD_DONE, &token, sizeof token) != sizeof token) _exit(0);
}

// Fills the stack that the kernel's frame is about to use, so that reading past a local array or
// an uninitialized local shows: by turns with NaN and with large numbers, which a maximum finds.
static __attribute__((noinline)) void soil(uint32_t c) {
  volatile char frame[SOILED];
  memset((char *)frame, c & 1 ? 0x7e : 0xff, sizeof frame);
  __asm__ volatile("" : : "r"(frame) : "memory");
}

static _Noreturn void serve(void) {
  for (;;) {
    KcGo go;
    uint64_t start;
    if (read(FIRST_FD + KC_FD_GO, &go, sizeof go) != sizeof go) _exit(0);
    uint64_t last = (uint64_t)go.first + go.count;
    if (last > self.count) last = self.count;
    map_outputs(go.first, (uint32_t)last);
    if (go.flags & KC_TOUCH) touch(go.first, (uint32_t)last);
    if (!(go.flags & KC_STRAIGHT)) {
      say(go.nonce, KC_READY);
      if (read(FIRST_FD + KC_FD_GO, &start, sizeof start) != sizeof start) _exit(0);
    }
    errno = 0;
    for (uint32_t r = 0; r < go.reps; ++r)
      for (uint32_t c = go.first; c < last; ++c) {
        if (go.flags & KC_STRAIGHT) soil(c);
        call_one(c);
      }
    say(go.nonce, KC_DONE);
  }
}

static void load(int threads) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", FIRST_FD + KC_FD_SO);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    dprintf(2, "cannot load: %s\n", dlerror());
    _exit(KC_EXIT_LOAD);
  }
  close(FIRST_FD + KC_FD_SO);
  *(void **)&self.kernel = dlsym(library, "kernel");
  if (!self.kernel) {
    dprintf(2, "no function extern \"C\" void kernel(...)\n");
    _exit(KC_EXIT_SYMBOL);
  }
  const int *wants = dlsym(library, "kc_require_contiguous");
  if (wants && *wants) plan_copies();
  omp_set_num_threads(threads);
}

// The six descriptors to 3..8, stderr also to 0..2, and nothing else.
static void arrange(const int *fds) {
  int high[KC_FDS];
  for (int i = 0; i < KC_FDS; ++i) high[i] = fcntl(fds[i], F_DUPFD, 64);
  for (int i = 0; i < KC_FDS; ++i) dup2(high[i], FIRST_FD + i);
  for (int i = 0; i < 3; ++i) dup2(high[KC_FD_ERR], i);
  close(FIRST_FD + KC_FD_ERR);
  kc_close_from(FIRST_FD + KC_FDS);
}

static void limit(const KcJob *job, int own_user) {
  const uint64_t space = job->memory_bytes + job->in_bytes + job->out_bytes;
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
  kc_limit(RLIMIT_CORE, 0, 0);
  kc_limit(RLIMIT_NOFILE, 32, 32);
  kc_limit(RLIMIT_MEMLOCK, 0, 0);
  // Counts processes and threads of the user: the slot and us, if the user is ours alone.
  if (own_user) kc_limit(RLIMIT_NPROC, job->threads + 16, job->threads + 16);
}

_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  setsid();
  arrange(fds);
  signal(SIGXFSZ, SIG_IGN);  // too much output is lost, not fatal
  map_regions(job);
  for (uint32_t c = 0; c < self.count; ++c) describe(c);
  limit(job, own_user);
  kc_hints(self.calls, self.count, self.in, self.out);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!(skip & KC_NO_SECCOMP) && kc_seccomp_available() && kc_seccomp_strict((int)job->threads))
    fail("seccomp");
  self.mode = float_mode();
  say(0, KC_LOADING);  // from here on an exit may be the candidate's doing
  load((int)job->threads);
  say(0, KC_LOADED);
  serve();
}
