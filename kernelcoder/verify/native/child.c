// SPDX-License-Identifier: Apache-2.0
// The hostile side: one process per candidate. It finds the regions mapped, puts on the sandbox, loads
// the candidate (its constructors run here, so only now) and calls it when told to. Nothing this
// process says is believed; see docs/isolation.md.
#define _GNU_SOURCE
#include "child.h"

#include <dlfcn.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "float_mode.h"
#include "hint.h"
#include "pack.h"
#include "sandbox.h"

enum { SOILED = 16384 };

// Any task's kernel is called through this one type. Both ABIs we know (System V x86-64, AAPCS64)
// pass pointers and doubles in separate registers, and pointers that no longer fit on the stack
// in order with the caller cleaning up; so arguments a kernel does not declare never reach it.
typedef void (*Kernel)(const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                       const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *,
                       double, double, double, double);

static KcCalls job_calls;
static struct {
  char *scratch;
  uint64_t *copied;  // per tensor: offset of its copy in scratch plus one; 0 if it needs none
  Kernel kernel;
  uint64_t mode;  // of the floating-point unit, before any code of the candidate
} self;

static uint64_t up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }

// Room for the copies of the largest call: kept across calls, so that the timed region pays for
// copying and not for allocating.
static void plan_copies(void) {
  uint64_t room = 0;
  for (uint32_t c = 0; c < job_calls.count; ++c) {
    uint64_t used = 0;
    for (uint32_t t = 0; t < job_calls.calls[c].inputs; ++t) {
      const KcTensor *tensor = job_calls.calls[c].tensor + t;
      if (kc_contiguous(tensor) && tensor->offset % KC_LINE == 0) continue;
      self.copied[c * KC_TENSORS + t] = used + 1;
      used += up(kc_packed_bytes(tensor), KC_LINE);
    }
    if (used > room) room = used;
  }
  if (room && posix_memalign((void **)&self.scratch, KC_LINE, room)) kc_fail("memory for copies");
}

static void call_one(uint32_t c) {
  const KcCall *call = job_calls.calls + c;
  DLTensor *t = job_calls.tensors + c * KC_TENSORS;
  DLTensor moved[KC_TENSORS];
  static int64_t strides[KC_TENSORS][KC_DIMS];
  if (self.scratch) {
    memcpy(moved, t, sizeof moved);
    for (uint32_t i = 0; i < call->inputs; ++i) {
      if (!self.copied[c * KC_TENSORS + i]) continue;
      char *to = self.scratch + self.copied[c * KC_TENSORS + i] - 1;
      kc_pack(to, t[i].data, call->tensor + i);
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

// Fills the stack that the kernel's frame is about to use, so that reading past a local array or
// an uninitialized local shows: by turns with NaN and with large numbers, which a maximum finds.
static __attribute__((noinline)) void soil(uint32_t c) {
  volatile char frame[SOILED];
  memset((char *)frame, c & 1 ? 0x7e : 0xff, sizeof frame);
  __asm__ volatile("" : : "r"(frame) : "memory");
}

static _Noreturn void serve(void) {
  for (;;) {
    const KcRun run = kc_await(&job_calls);
    for (uint32_t r = 0; r < run.reps; ++r)
      for (uint32_t c = run.first; c < run.last; ++c) {
        if (run.checked) soil(c);
        call_one(c);
      }
    kc_say(run.nonce, KC_DONE);
  }
}

static void load(int threads) {
  _Static_assert(KC_FIRST_FD + KC_FD_SO == 8, "the path below");
  void *library = dlopen("/proc/self/fd/8", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    dprintf(2, "cannot load: %s\n", dlerror());
    _exit(KC_EXIT_LOAD);
  }
  close(KC_FIRST_FD + KC_FD_SO);
  *(void **)&self.kernel = dlsym(library, "kernel");
  if (!self.kernel) {
    dprintf(2, "no function extern \"C\" void kernel(...)\n");
    _exit(KC_EXIT_SYMBOL);
  }
  const int *wants = dlsym(library, "kc_require_contiguous");
  if (wants && *wants) plan_copies();
  if (threads > 1) omp_set_num_threads(threads);  // the environment says 1
}

void kc_begin(void) {}

// Candidates come in rows for the same regions, and opening their tensors one by one is a twelfth of
// what a small candidate costs: so the slot maps them, and its children inherit that. It holds nothing
// that they may not see, and keeps one pair of regions alive until the next.
void kc_before(const KcJob *job, const int *fds) {
  static KcJob last;
  static struct stat known[2];
  struct stat now[2];
  if (fstat(fds[KC_FD_IN], now) || fstat(fds[KC_FD_OUT], now + 1)) kc_fail("the regions");
  int same = job->in_bytes == last.in_bytes && job->out_bytes == last.out_bytes;
  // A number is not given again as long as the file is mapped.
  for (int i = 0; i < 2; ++i)
    same &= now[i].st_ino == known[i].st_ino && now[i].st_dev == known[i].st_dev;
  if (!same) {
    if (job_calls.in) kc_unmap(&last, &job_calls);
    kc_map(job, fds[KC_FD_IN], fds[KC_FD_OUT], &job_calls);
  }
  job_calls.threads = job->threads;
  last = *job;
  memcpy(known, now, sizeof known);
}

_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  setsid();
  kc_arrange(fds);
  signal(SIGXFSZ, SIG_IGN);  // too much output is lost, not fatal
  close(KC_FIRST_FD + KC_FD_IN);
  close(KC_FIRST_FD + KC_FD_OUT);
  self.copied = calloc((size_t)job_calls.count * KC_TENSORS, sizeof *self.copied);
  if (!self.copied) kc_fail("memory");
  kc_confine(job, 0, own_user);
  kc_hints(job_calls.calls, job_calls.count, job_calls.in, job_calls.out);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!(skip & KC_NO_SECCOMP) && kc_seccomp_available() && kc_seccomp_strict((int)job->threads))
    kc_fail("seccomp");
  self.mode = float_mode();
  kc_say(0, KC_LOADING);  // from here on an exit may be the candidate's doing
  load((int)job->threads);
  kc_say(0, KC_LOADED);
  serve();
}
