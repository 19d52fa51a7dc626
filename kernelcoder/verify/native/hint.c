// SPDX-License-Identifier: Apache-2.0
// A segmentation fault says little. We know where every tensor lies, so we can say much.
#define _GNU_SOURCE
#include "hint.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { NEAR = 1 << 16, STACK = 1 << 16 };  // NEAR: the width of a guard

static struct {
  const KcCall *calls;
  uint32_t count;
  const char *in, *out;
} known;

typedef struct {
  const char *side, *place;
  uint32_t index, call;
  long bytes;
} Spot;

// Where `at` lies relative to one tensor; 0 if not near it.
static int near(Spot *spot, const char *at, const char *start, uint64_t size, int input) {
  const char *end = start + size;
  spot->side = input ? "input" : "output";
  if (at >= start && at < end) {
    spot->place = "inside", spot->bytes = at - start;
    return 1;
  }
  if (at >= end && at < end + NEAR) {
    spot->place = "past the end of", spot->bytes = at - end;
    return 1;
  }
  if (at < start && at >= start - NEAR) {
    spot->place = "before the start of", spot->bytes = start - at;
    return 1;
  }
  return 0;
}

// A fault past the end of a tensor is also before the next one: the nearer border wins.
static int find(Spot *best, const char *at) {
  int found = 0;
  for (uint32_t c = 0; c < known.count; ++c) {
    const KcCall *call = known.calls + c;
    for (uint32_t t = 0; t < call->inputs + call->outputs; ++t) {
      const int input = t < call->inputs;
      const char *start = (input ? known.in : known.out) + call->tensor[t].offset;
      Spot spot = {0};
      if (!near(&spot, at, start, call->tensor[t].bytes, input)) continue;
      if (found && spot.bytes >= best->bytes) continue;
      spot.index = input ? t : t - call->inputs;
      spot.call = c;
      *best = spot;
      found = 1;
    }
  }
  return found;
}

static const char *verb(const void *context) {
#ifdef __x86_64__
  const ucontext_t *user = context;
  return user->uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
#else
  (void)context;
  return "access";
#endif
}

static void fault(int number, siginfo_t *info, void *context) {
  const int starved = errno == ENOMEM;  // the harness clears errno before each run
  char line[256];
  Spot spot;
  const char *at = info->si_addr;
  int size = 0;
  if (number != SIGSEGV && number != SIGBUS)
    size = snprintf(line, sizeof line, "hint: %s\n", strsignal(number));
  else if (find(&spot, at))
    size = snprintf(line, sizeof line, "hint: %s %ld bytes %s %s %u (call %u)\n", verb(context),
                    spot.bytes, spot.place, spot.side, spot.index, spot.call);
  else if (info->si_code == SI_KERNEL)  // a general protection fault carries no address
    size = snprintf(line, sizeof line, "hint: aligned vector access at a misaligned address\n");
  else if ((uintptr_t)at < 1 << 16)
    size = snprintf(line, sizeof line, "hint: %s through a null pointer%s\n", verb(context),
                    starved ? ": an allocation failed" : "");
  else
    size = snprintf(line, sizeof line, "hint: %s at an address that belongs to no tensor\n",
                    verb(context));
  if (size > 0 && write(2, line, (size_t)size) < 0) return;
  raise(number);  // delivered, with the default effect, when this handler returns
}

void kc_hints(const KcCall *calls, uint32_t count, const char *in, const char *out) {
  known.calls = calls, known.count = count, known.in = in, known.out = out;
  static char stack[STACK];  // an overflown stack cannot run its own handler
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
  const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  for (int i = 0; i < 4; ++i) sigaction(numbers[i], &action, NULL);
  // A runtime that was loaded into the slot (backends/simt) explains the faults of its kernels; ours
  // stay behind it.
  void (*runtime)(void);
  *(void **)&runtime = dlsym(RTLD_DEFAULT, "simt_enter_child");
  if (runtime) runtime();
}
