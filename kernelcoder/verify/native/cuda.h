// SPDX-License-Identifier: Apache-2.0
// The few calls of CUDA's runtime library that the harness itself makes. The library is opened by
// name when a child starts, so nothing of CUDA is needed to build this, and the slot, which forks,
// never touches it: a CUDA process must not be forked.
#pragma once
#include <stddef.h>

typedef struct {
  int (*set_device)(int);
  int (*malloc)(void **, size_t);
  int (*free)(void *);
  int (*copy)(void *, const void *, size_t, int, void *);  // the last two: direction, stream
  int (*fill)(void *, int, size_t, void *);
  int (*stream)(void **);
  int (*wait)(void *);  // for a stream
  int (*wait_all)(void);
  int (*error)(void);  // the last one, and forgets it
  const char *(*name)(int);
  int (*event)(void **);
  int (*record)(void *, void *);
  int (*elapsed)(float *, void *, void *);
  int (*attribute)(int *, int, int);
} KcCuda;

enum { KC_TO_DEVICE = 1, KC_TO_HOST = 2 };  // cudaMemcpyKind
enum { KC_L2_BYTES = 38 };  // cudaDevAttrL2CacheSize
enum { KC_INVALID_CONFIGURATION = 9 };  // cudaErrorInvalidConfiguration: an empty grid, too

// Opens the library and the first device that CUDA shows, and makes its context. Ends the process
// as a fault of the harness where that cannot be.
void kc_cuda_open(const char *library, KcCuda *cuda);

// Kernels launched by this process, as its own calls of the runtime say.
unsigned long kc_cuda_launches(void);
