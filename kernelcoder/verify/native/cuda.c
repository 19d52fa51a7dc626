// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cuda.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "calls.h"

static void *library;
static unsigned long launches;

unsigned long kc_cuda_launches(void) { return __atomic_load_n(&launches, __ATOMIC_RELAXED); }

static void *find(const char *name) {
  void *found = dlsym(library, name);
  if (found) return found;
  dprintf(2, "harness: CUDA's runtime has no %s\n", name);
  _exit(KC_EXIT_HARNESS);
}

static void must(const KcCuda *cuda, int error) {
  if (!error) return;
  dprintf(2, "harness: no CUDA device: %s\n", cuda->name(error));
  _exit(KC_EXIT_HARNESS);
}

void kc_cuda_open(const char *path, KcCuda *cuda) {
  library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);  // candidates are linked without it
  if (!library) {
    dprintf(2, "harness: cannot load CUDA's runtime: %s\n", dlerror());
    _exit(KC_EXIT_HARNESS);
  }
  static const struct {
    const char *name;
    size_t at;
  } calls[] = {
      {"cudaSetDevice", offsetof(KcCuda, set_device)},
      {"cudaMalloc", offsetof(KcCuda, malloc)},
      {"cudaFree", offsetof(KcCuda, free)},
      {"cudaMemcpyAsync", offsetof(KcCuda, copy)},
      {"cudaMemsetAsync", offsetof(KcCuda, fill)},
      {"cudaStreamCreate", offsetof(KcCuda, stream)},
      {"cudaStreamSynchronize", offsetof(KcCuda, wait)},
      {"cudaDeviceSynchronize", offsetof(KcCuda, wait_all)},
      {"cudaGetLastError", offsetof(KcCuda, error)},
      {"cudaGetErrorName", offsetof(KcCuda, name)},
      {"cudaEventCreate", offsetof(KcCuda, event)},
      {"cudaEventRecord", offsetof(KcCuda, record)},
      {"cudaEventElapsedTime", offsetof(KcCuda, elapsed)},
      {"cudaDeviceGetAttribute", offsetof(KcCuda, attribute)},
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; ++i)
    *(void **)((char *)cuda + calls[i].at) = find(calls[i].name);
  must(cuda, cuda->set_device(0));
  must(cuda, cuda->free(NULL));  // makes the context
}

// Objects of nvcc give their kernels back at the end of the process, by a function that libc links
// into each program rather than offering it. This process ends without.
int atexit(void (*function)(void)) {
  (void)function;
  return 0;
}

// A candidate's launches pass through here, since the program comes first in the order in which
// names are looked up: they are counted and go on to the runtime. A hostile candidate can find
// another way, so the count convicts and never clears.
typedef struct {
  unsigned x, y, z;
} Dim;
enum { NOT_SUPPORTED = 801 };

#define PASS(NAME)                                                                            \
  int NAME(const void *what, Dim grid, Dim block, void **args, size_t shared, void *stream) { \
    static int (*real)(const void *, Dim, Dim, void **, size_t, void *);                      \
    if (!real) *(void **)&real = dlsym(library, #NAME);                                       \
    __atomic_fetch_add(&launches, 1, __ATOMIC_RELAXED);                                       \
    return real ? real(what, grid, block, args, shared, stream) : NOT_SUPPORTED;              \
  }
PASS(cudaLaunchKernel)
PASS(cudaLaunchKernel_ptsz)
PASS(__cudaLaunchKernel)
PASS(__cudaLaunchKernel_ptsz)
PASS(cudaLaunchCooperativeKernel)
PASS(cudaLaunchCooperativeKernel_ptsz)

#define PASS_EXTENDED(NAME)                                                    \
  int NAME(const void *config, const void *what, void **args) {                \
    static int (*real)(const void *, const void *, void **);                   \
    if (!real) *(void **)&real = dlsym(library, #NAME);                        \
    __atomic_fetch_add(&launches, 1, __ATOMIC_RELAXED);                        \
    return real ? real(config, what, args) : NOT_SUPPORTED;                    \
  }
PASS_EXTENDED(cudaLaunchKernelExC)
PASS_EXTENDED(cudaLaunchKernelExC_ptsz)
