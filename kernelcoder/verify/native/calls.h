// SPDX-License-Identifier: Apache-2.0
// What the process of a candidate does whatever its language: descriptors, limits, the two regions
// and the tensors in them, tokens.
#pragma once
#include <stdint.h>

#include "dlpack/dlpack.h"
#include "protocol.h"

enum { KC_PAGE = 4096, KC_LINE = 64, KC_FIRST_FD = 3 };

// The calls of one job. zygote_process.py mirrors it.
typedef struct {
  KcCall *calls;
  DLTensor *tensors;  // KC_TENSORS per call
  char *in, *out;
  uint32_t count, threads;
} KcCalls;

// One run that the judge asked for: calls first to last - 1, so many times.
typedef struct {
  uint64_t nonce;
  uint32_t first, last, reps;
  int checked;  // not timed: nobody waits for us to be ready
} KcRun;

// Ends the process as a fault of the harness.
_Noreturn void kc_fail(const char *what);

// The six descriptors of a job to 3..8, stderr also to 0..2, and nothing else.
void kc_arrange(const int *fds);

// Maps both regions: inputs read-only, outputs writable, everything between them closed. The
// descriptors stay open.
void kc_map(const KcJob *job, int in, int out, KcCalls *calls);
void kc_unmap(const KcJob *job, KcCalls *calls);

// Processors, memory (beyond `own` bytes that the process has already), time, text, threads.
void kc_confine(const KcJob *job, uint64_t own, int own_user);

void kc_say(uint64_t nonce, uint64_t kind);

// Waits until a run may start. Ends the process when the judge hung up.
KcRun kc_await(const KcCalls *calls);
