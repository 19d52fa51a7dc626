// SPDX-License-Identifier: Apache-2.0
// The hostile side for Python candidates. Linked with slot.c into a shared library, it makes a
// Python process that has torch loaded into a slot: each forked child puts on the layers of a native
// one and then calls back into Python, which loads the candidate (zygote_process.py).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "calls.h"
#include "child.h"
#include "driver.h"
#include "float_mode.h"
#include "hint.h"
#include "sandbox.h"

enum { GAP_PAGES = 4096 };

static KcCalls job_calls;
static void (*enter)(void);
static uint64_t own_bytes;  // address space of the interpreter itself
static void (*open_device)(void);
static int own_places;  // of what the slot's children can read, those named by zygote_process.py
int kc_device;          // set by it: children have a device
static uint64_t nonce, mode;  // mode: of the floating-point unit, before any code of the candidate

// Before the slot starts: what a child calls, the size of this process, and what opens a device.
void kc_prepare(void (*function)(void), uint64_t bytes, void (*opener)(void)) {
  enter = function, own_bytes = bytes, open_device = opener;
}

const void *kc_job(void) { return &job_calls; }

// Children of one process would all lie at the same addresses, and a layout favors one kernel over
// another by a percent or two: so a gap of random size goes before whatever is mapped from here on.
static uint64_t shift(void) {
  uint32_t pages = 0;
  if (getrandom(&pages, sizeof pages, GRND_NONBLOCK) != sizeof pages) pages = (uint32_t)getpid();
  const uint64_t size = (uint64_t)(pages % GAP_PAGES + 1) * KC_PAGE;
  return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 0 : size;
}

// Whether nothing under /proc can be opened: Landlock holds.
static int closed(void) {
  const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd < 0 && errno == EACCES;
}

// Called by Python: from here on an exit may be the candidate's doing; and: it is loaded.
void kc_loading(void) {
  mode = float_mode();
  kc_say(0, KC_LOADING);
}
void kc_loaded(void) { kc_say(0, KC_LOADED); }

// Called by Python: waits until a run may start. range: first call, one past the last, repetitions.
void kc_next(uint32_t *range) {
  const KcRun run = kc_await(&job_calls);
  nonce = run.nonce;
  range[0] = run.first, range[1] = run.last, range[2] = run.reps;
}

// Called by Python: the run is over.
void kc_done(void) {
  if (float_mode() != mode) _exit(KC_EXIT_MODE);
  kc_say(nonce, KC_DONE);
}

// A child with a device calls these in place of kc_next: waits for what to run (range: first call,
// one past the last, repetitions, flags); says that the inputs are there and waits for the start;
// waits until the outputs are asked for; says that they are there.
void kc_device_next(uint32_t *range) {
  KcGo go;
  if (read(KC_FIRST_FD + KC_FD_GO, &go, sizeof go) != sizeof go) _exit(0);
  const uint64_t last = (uint64_t)go.first + go.count;
  nonce = go.nonce;
  range[0] = go.first, range[2] = go.reps, range[3] = go.flags;
  range[1] = last > job_calls.count ? job_calls.count : (uint32_t)last;
}
void kc_device_back(void) {
  uint64_t word;
  if (read(KC_FIRST_FD + KC_FD_GO, &word, sizeof word) != sizeof word) _exit(0);
}
void kc_device_ready(void) {
  kc_say(nonce, KC_READY);
  kc_device_back();
}
void kc_device_out(uint64_t ns) { kc_say(nonce, KC_OUT | ns << 8); }

// zygote_process.py has filled the list; opening a device reads more.
void kc_begin(void) {
  own_places = kc_readable_count;
  if (kc_device) kc_driver_begin();
}

// Nothing: each child maps at addresses of its own.
void kc_before(const KcJob *job, const int *fds) { (void)job, (void)fds; }

_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user) {
  const int filtered = !(skip & KC_NO_SECCOMP) && kc_seccomp_available();
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // A judge that is not root can take outside samples only of a process it may look into. So may
  // then any process of the same user; of candidates there is none that could: no system calls for
  // it, no /proc.
  prctl(PR_SET_DUMPABLE, !own_user && filtered && closed() ? 1 : 0, 0, 0, 0);
  setsid();
  kc_arrange(fds);
  close(0);  // nothing to read there
  signal(SIGXFSZ, SIG_IGN);  // too much output is lost, not fatal
  own_bytes += shift();
  kc_map(job, KC_FIRST_FD + KC_FD_IN, KC_FIRST_FD + KC_FD_OUT, &job_calls);
  close(KC_FIRST_FD + KC_FD_IN);
  close(KC_FIRST_FD + KC_FD_OUT);
  if (!kc_device) kc_confine(job, own_bytes, own_user);
  kc_hints(job_calls.calls, job_calls.count, job_calls.in, job_calls.out);
  omp_set_num_threads(kc_device ? 1 : (int)job->threads);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (kc_device) {
    kc_limit(RLIMIT_NOFILE, KC_DRIVER_FILES, KC_DRIVER_FILES);
    open_device();
    kc_driver_confine(job, skip, own_user, own_places);
  } else if (filtered && kc_seccomp_strict((int)job->threads)) {
    kc_fail("seccomp");
  }
  enter();
  _exit(KC_EXIT_HARNESS);
}
