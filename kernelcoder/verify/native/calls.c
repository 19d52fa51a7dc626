// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox.h"

enum { AROUND = 16 * KC_PAGE };

_Noreturn void kc_fail(const char *what) {
  dprintf(2, "harness: %s: %m\n", what);
  _exit(KC_EXIT_HARNESS);
}

static uint64_t down(uint64_t n) { return n & ~(uint64_t)(KC_PAGE - 1); }
static uint64_t up(uint64_t n) { return down(n + KC_PAGE - 1); }

void kc_arrange(const int *fds) {
  int high[KC_FDS];
  for (int i = 0; i < KC_FDS; ++i) high[i] = fcntl(fds[i], F_DUPFD, 64);
  for (int i = 0; i < KC_FDS; ++i) dup2(high[i], KC_FIRST_FD + i);
  for (int i = 0; i < 3; ++i) dup2(high[KC_FD_ERR], i);
  close(KC_FIRST_FD + KC_FD_ERR);
  kc_close_from(KC_FIRST_FD + KC_FDS);
}

static char *map(int fd, uint64_t size) {
  char *at = mmap(NULL, size, PROT_NONE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) kc_fail("mapping a region");
  return at;
}

// Opens the pages of a tensor, and describes it. What lies between tensors stays closed: the guard.
static void place(const KcCalls *calls, KcTensor *from, DLTensor *to, int input) {
  char *region = input ? calls->in : calls->out;
  const uint64_t first = down(from->offset), last = up(from->offset + from->bytes);
  if (from->bytes &&
      mprotect(region + first, last - first, input ? PROT_READ : PROT_READ | PROT_WRITE))
    kc_fail("opening a tensor");
  to->data = region + from->offset;
  to->device = (DLDevice){kDLCPU, 0};
  to->ndim = from->ndim;
  to->dtype = (DLDataType){from->code, from->bits, from->lanes};
  to->shape = from->shape;
  to->strides = from->strides;
}

void kc_unmap(const KcJob *job, KcCalls *calls) {
  if (munmap(calls->in, job->in_bytes) || munmap(calls->out, job->out_bytes))
    kc_fail("unmapping a region");
  free(calls->calls);
  free(calls->tensors);
}

void kc_map(const KcJob *job, int in, int out, KcCalls *calls) {
  calls->in = map(in, job->in_bytes);
  calls->out = map(out, job->out_bytes);
  if (mprotect(calls->in, KC_PAGE, PROT_READ)) kc_fail("the header");
  const KcHeader *header = (const KcHeader *)calls->in;
  if (header->magic != KC_MAGIC) kc_fail("the header is not ours");
  const uint64_t size = header->calls * sizeof(KcCall);
  if (mprotect(calls->in, up(sizeof *header + size), PROT_READ)) kc_fail("the header");
  calls->count = header->calls;
  calls->threads = job->threads;
  calls->calls = malloc(size);
  calls->tensors = calloc((size_t)calls->count * KC_TENSORS, sizeof *calls->tensors);
  if (!calls->calls || !calls->tensors) kc_fail("memory");
  memcpy(calls->calls, header + 1, size);
  for (uint32_t c = 0; c < calls->count; ++c) {
    KcCall *call = calls->calls + c;
    for (uint32_t t = 0; t < call->inputs + call->outputs; ++t)
      place(calls, call->tensor + t, calls->tensors + (size_t)c * KC_TENSORS + t, t < call->inputs);
  }
}

void kc_confine(const KcJob *job, uint64_t own, int own_user) {
  const uint64_t space = own + job->memory_bytes + job->in_bytes + job->out_bytes;
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
  // Counts processes and threads of the user: the slot and us, if the user is ours alone.
  if (own_user) kc_limit(RLIMIT_NPROC, job->threads + 16, job->threads + 16);
}

void kc_say(uint64_t nonce, uint64_t kind) {
  const KcToken token = {nonce, kind};
  if (write(KC_FIRST_FD + KC_FD_DONE, &token, sizeof token) != sizeof token) _exit(0);
}

// Brings every cache line of the tensors to this core.
static void touch(const KcCalls *calls, uint32_t first, uint32_t last) {
  volatile char sink = 0;
  for (uint32_t c = first; c < last; ++c)
    for (uint32_t t = 0; t < calls->calls[c].inputs + calls->calls[c].outputs; ++t) {
      const uint64_t size = calls->calls[c].tensor[t].bytes;
      const char *at = calls->tensors[(size_t)c * KC_TENSORS + t].data;
      for (uint64_t b = 0; b < size; b += KC_LINE) sink = at[b];
      if (size) sink = at[size - 1];
    }
  (void)sink;
}

// Maps the outputs before they are written. A read brings in 16 pages at a time, and writable ones
// at that; a write only its own page, and that is dearer than most kernels' work on it.
static void map_outputs(const KcCalls *calls, uint32_t first, uint32_t last) {
  volatile char sink = 0;
  for (uint32_t c = first; c < last; ++c) {
    const KcCall *call = calls->calls + c;
    for (uint32_t t = call->inputs; t < call->inputs + call->outputs; ++t) {
      const char *at = calls->tensors[(size_t)c * KC_TENSORS + t].data;
      const char *end = at + call->tensor[t].bytes;
      for (; at < end; at = (const char *)down((uintptr_t)at + AROUND)) sink = *at;
    }
  }
  (void)sink;
}

KcRun kc_await(const KcCalls *calls) {
  KcGo go;
  uint64_t start;
  if (read(KC_FIRST_FD + KC_FD_GO, &go, sizeof go) != sizeof go) _exit(0);
  uint64_t last = (uint64_t)go.first + go.count;
  if (last > calls->count) last = calls->count;
  map_outputs(calls, go.first, (uint32_t)last);
  if (go.flags & KC_TOUCH) touch(calls, go.first, (uint32_t)last);
  const int checked = (go.flags & KC_STRAIGHT) != 0;
  if (!checked) {
    kc_say(go.nonce, KC_READY);
    if (read(KC_FIRST_FD + KC_FD_GO, &start, sizeof start) != sizeof start) _exit(0);
  }
  errno = 0;
  return (KcRun){go.nonce, go.first, (uint32_t)last, go.reps, checked};
}
