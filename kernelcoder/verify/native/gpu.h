// SPDX-License-Identifier: Apache-2.0
// Calls of a kernel on a device: what lies where in its memory, checked runs and timed runs.
#pragma once
#include "calls.h"

// Opens the device and makes room for both regions, laid out as they are on the host. Ends the
// process as a fault of the harness where that cannot be.
void kc_gpu_open(const char *runtime, KcCalls *calls, uint64_t in_bytes, uint64_t out_bytes);

// What is called from now on, and whether its inputs come as contiguous copies.
void kc_gpu_kernel(void *kernel, int contiguous);

_Noreturn void kc_gpu_serve(void);
