// SPDX-License-Identifier: Apache-2.0
// Stands in for CUDA's runtime library where there is no device: the calls that the harness makes,
// over host memory. Kernels are emulated ones (libsimt); each of their launches is told to
// cudaLaunchKernel as well, which the harness counts. The functions that begin with standin_ are
// for candidates of tests: they do to this device what a real one might do by itself.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "simt/rt.h"

namespace {
int error;            // sticky, as a fault of a real device is
useconds_t slowness;  // microseconds that bringing back takes longer
useconds_t held;      // microseconds that bringing there takes longer

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}
struct Dim {
  unsigned x, y, z;
};
}  // namespace

extern "C" {
void standin_error(int number) { error = number; }
void standin_forge(int pipe) { error = write(pipe, "87654321", 8) == 8 ? error : 1; }
void standin_slow(unsigned microseconds) { slowness = microseconds; }
void standin_hold(unsigned microseconds) { held = microseconds; }

int cudaSetDevice(int) { return getenv("STANDIN_ABSENT") ? 100 : 0; }
int cudaMalloc(void **at, size_t bytes) { return posix_memalign(at, 4096, bytes) ? 2 : 0; }
int cudaFree(void *at) { return free(at), 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *) {
  if (kind == 2 && slowness) usleep(slowness);
  if (kind == 1 && held) usleep(held);
  return memcpy(to, from, bytes), 0;
}
int cudaMemsetAsync(void *to, int byte, size_t bytes, void *) { return memset(to, byte, bytes), 0; }
int cudaStreamCreate(void **stream) { return *stream = nullptr, 0; }
int cudaStreamSynchronize(void *) { return error; }
int cudaDeviceSynchronize() { return error; }
int cudaGetLastError() { return error ? error : simt_last_error(); }
const char *cudaGetErrorName(int number) {
  switch (number) {
    case 2: return "cudaErrorMemoryAllocation";
    case 9: return "cudaErrorInvalidConfiguration";
    case 100: return "cudaErrorNoDevice";
    case 700: return "cudaErrorIllegalAddress";
    default: return "cudaErrorUnknown";
  }
}
int cudaEventCreate(void **event) { return *event = calloc(1, sizeof(int64_t)), 0; }
int cudaEventRecord(void *event, void *) { return *static_cast<int64_t *>(event) = now(), 0; }
int cudaEventElapsedTime(float *ms, void *from, void *to) {
  const int64_t ns = *static_cast<int64_t *>(to) - *static_cast<int64_t *>(from);
  return *ms = static_cast<float>(ns) * 1e-6f, 0;
}
int cudaDeviceGetAttribute(int *value, int, int) { return *value = 1 << 18, 0; }
int cudaLaunchKernel(const void *, Dim, Dim, void **, size_t, void *) { return 0; }

// Kernels come here before the emulator: see the order in which names are looked up.
int simt_launch(const simt::LaunchCfg *config, void (*fn)(void *), void *ctx) {
  typedef int (*Launch)(const void *, Dim, Dim, void **, size_t, void *);
  typedef int (*Run)(const simt::LaunchCfg *, void (*)(void *), void *);
  static const Launch told = reinterpret_cast<Launch>(dlsym(RTLD_DEFAULT, "cudaLaunchKernel"));
  static const Run run = reinterpret_cast<Run>(dlsym(RTLD_NEXT, "simt_launch"));
  told(nullptr, {1, 1, 1}, {1, 1, 1}, nullptr, 0, nullptr);
  return run(config, fn, ctx);
}
}
