// SPDX-License-Identifier: Apache-2.0
// The hostile side on a GPU: one process per candidate. The device is opened by code of ours before
// the last layers of the sandbox go on, because a driver needs more than a candidate may have. Then
// the candidate is loaded and called with tensors in the device's memory. See docs/isolation.md.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "calls.h"
#include "child.h"
#include "driver.h"
#include "gpu.h"
#include "hint.h"
#include "sandbox.h"

static char *runtime;  // path of CUDA's runtime library
static KcCalls job_calls;

// Children, whose candidates run later, lose most of it again.
void kc_begin(void) {
  const char *named = getenv("KC_CUDART");
  runtime = strdup(named ? named : "libcudart.so");
  unsetenv("KC_CUDART");
  kc_driver_begin();
  if (*runtime == '/' && kc_readable_count < KC_RULES)
    kc_readable[kc_readable_count++] = (KcRule){runtime, KC_READ};
}

// Nothing: each child maps for itself.
void kc_before(const KcJob *job, const int *fds) { (void)job, (void)fds; }

static void load(void) {
  void *library = dlopen("/proc/self/fd/8", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    dprintf(2, "cannot load: %s\n", dlerror());
    _exit(KC_EXIT_LOAD);
  }
  close(KC_FIRST_FD + KC_FD_SO);
  void *kernel = dlsym(library, "kernel");
  if (!kernel) {
    dprintf(2, "no function extern \"C\" void kernel(...)\n");
    _exit(KC_EXIT_SYMBOL);
  }
  const int *wants = dlsym(library, "kc_require_contiguous");
  kc_gpu_kernel(kernel, wants && *wants);
}

_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  setsid();
  kc_arrange(fds);
  signal(SIGXFSZ, SIG_IGN);
  kc_limit(RLIMIT_NOFILE, KC_DRIVER_FILES, KC_DRIVER_FILES);
  kc_map(job, KC_FIRST_FD + KC_FD_IN, KC_FIRST_FD + KC_FD_OUT, &job_calls);
  close(KC_FIRST_FD + KC_FD_IN);
  close(KC_FIRST_FD + KC_FD_OUT);
  kc_gpu_open(runtime, &job_calls, job->in_bytes, job->out_bytes);
  kc_hints(job_calls.calls, job_calls.count, job_calls.in, job_calls.out);
  kc_driver_confine(job, skip, own_user, 0);
  kc_say(0, KC_LOADING);  // from here on an exit may be the candidate's doing
  load();
  kc_say(0, KC_LOADED);
  kc_gpu_serve();
}
