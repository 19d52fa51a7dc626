// SPDX-License-Identifier: Apache-2.0
// Stands in for CUDA's header of this name; nvcc includes it by itself, and so do we.
#pragma once
#include "emulated/types.h"
// After all system headers, which the macros of these would break.
#include "emulated/math.h"
#include "emulated/integer.h"
#include "emulated/launch.h"
#include "emulated/warp.h"
#include "emulated/atomics.h"
#include "emulated/api.h"
#include "emulated/memory.h"
#include "emulated/entry.h"
// Compute capability 9.0; after the system headers, some of which look at it.
#define __CUDA_ARCH__ 900
// A candidate is not to know in which build it is.
#undef __SANITIZE_THREAD__
