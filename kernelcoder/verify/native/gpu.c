// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda.h"
#include "float_mode.h"
#include "pack.h"

// GUARD is what regions.py leaves between tensors; ALIGNED what CUDA promises for an allocation.
enum { GUARD = 1 << 16, CANARY = 0xC5, ALIGNED = 256, CHUNK = 1 << 20, POINTERS = KC_TENSORS + 1 };

// As in child.c, with the stream behind the tensors.
typedef void (*Kernel)(const void *, const void *, const void *, const void *, const void *,
                       const void *, const void *, const void *, const void *, double, double,
                       double, double);

static KcCuda cuda;
static KcCalls *job;
static struct {
  char *in, *out;     // the regions in the device's memory
  uint64_t in_bytes, out_bytes;
  DLTensor *tensors;  // as the kernel gets them
  uint64_t *moved;    // per tensor: offset of its contiguous copy plus one; 0 if it has none
  int64_t (*strides)[KC_DIMS];
  char *packed, *scratch;  // those copies, on the device; room for one, on the host
  char *chunk;             // host
  char *flush;
  size_t flush_bytes;
  void *stream, **events;
  uint32_t event_count;
  Kernel kernel;
  uint64_t mode;
  int told;
} gpu;

static uint64_t down(uint64_t n) { return n & ~(uint64_t)(KC_PAGE - 1); }
static uint64_t up(uint64_t n, uint64_t to) { return (n + to - 1) & ~(to - 1); }

static _Noreturn void failed(int error) {
  dprintf(2, "cuda: %s\n", cuda.name(error));
  _exit(KC_EXIT_DEVICE);
}
static void settle(int error) {
  if (error) failed(error);
}

static _Noreturn void lacking(const char *what, int error) {
  dprintf(2, "harness: %s on the device: %s\n", what, cuda.name(error));
  _exit(KC_EXIT_HARNESS);
}

static char *room(uint64_t bytes) {
  void *at = NULL;
  const int error = cuda.malloc(&at, bytes ? bytes : 1);
  if (error) lacking("no memory for the calls", error);
  return at;
}

static char *region(uint64_t bytes) {
  char *at = room(bytes);
  settle(cuda.fill(at, CANARY, bytes, gpu.stream));
  return at;
}

void kc_gpu_open(const char *runtime, KcCalls *calls, uint64_t in_bytes, uint64_t out_bytes) {
  kc_cuda_open(runtime, &cuda);
  job = calls;
  const int error = cuda.stream(&gpu.stream);
  if (error) lacking("no stream", error);
  gpu.in_bytes = in_bytes, gpu.out_bytes = out_bytes;
  gpu.in = region(in_bytes), gpu.out = region(out_bytes);
  settle(cuda.wait(gpu.stream));
  const size_t count = (size_t)calls->count * KC_TENSORS;
  gpu.tensors = malloc(count * sizeof *gpu.tensors);
  gpu.moved = calloc(count, sizeof *gpu.moved);
  gpu.strides = calloc(count, sizeof *gpu.strides);
  gpu.chunk = malloc(CHUNK);
  if (!gpu.tensors || !gpu.moved || !gpu.strides || !gpu.chunk) kc_fail("memory");
  memcpy(gpu.tensors, calls->tensors, count * sizeof *gpu.tensors);
  for (uint32_t c = 0; c < calls->count; ++c)
    for (uint32_t t = 0; t < calls->calls[c].inputs + calls->calls[c].outputs; ++t) {
      DLTensor *tensor = gpu.tensors + (size_t)c * KC_TENSORS + t;
      tensor->data = (t < calls->calls[c].inputs ? gpu.in : gpu.out) + calls->calls[c].tensor[t].offset;
      tensor->device = (DLDevice){kDLCUDA, 0};
    }
}

// Contiguous copies are made on the host and not timed: timed tensors are contiguous as they come.
static void plan_copies(void) {
  uint64_t used = 0, largest = 0;
  for (uint32_t c = 0; c < job->count; ++c)
    for (uint32_t i = 0; i < job->calls[c].inputs; ++i) {
      const KcTensor *from = job->calls[c].tensor + i;
      if (kc_contiguous(from) && from->offset % KC_LINE == 0) continue;
      const size_t at = (size_t)c * KC_TENSORS + i;
      const uint64_t bytes = kc_packed_bytes(from);
      gpu.moved[at] = used + 1;
      used += up(bytes, ALIGNED);
      if (bytes > largest) largest = bytes;
      int64_t step = 1;
      for (int d = from->ndim - 1; d >= 0; step *= from->shape[d], --d) gpu.strides[at][d] = step;
      gpu.tensors[at].strides = gpu.strides[at];
    }
  if (!used) return;
  gpu.packed = room(used);
  gpu.scratch = malloc(largest + 1);
  if (!gpu.scratch) kc_fail("memory for copies");
  for (size_t at = 0; at < (size_t)job->count * KC_TENSORS; ++at)
    if (gpu.moved[at]) gpu.tensors[at].data = gpu.packed + gpu.moved[at] - 1;
}

void kc_gpu_kernel(void *kernel, int contiguous) {
  *(void **)&gpu.kernel = kernel;
  gpu.mode = float_mode();
  if (contiguous) plan_copies();
}

// A call's inputs to the device, and to its outputs what the judge has put into them: for a checked
// call whole pages, with the judge's canaries.
static void bring(uint32_t c, int checked) {
  const KcCall *call = job->calls + c;
  for (uint32_t t = 0; t < call->inputs + call->outputs; ++t) {
    const KcTensor *tensor = call->tensor + t;
    const size_t at = (size_t)c * KC_TENSORS + t;
    const int input = t < call->inputs;
    const char *host = input ? job->in : job->out;
    char *device = input ? gpu.in : gpu.out;
    if (!tensor->bytes) continue;
    const uint64_t first = down(tensor->offset), last = up(tensor->offset + tensor->bytes, KC_PAGE);
    if (input || checked)
      settle(cuda.copy(device + first, host + first, last - first, KC_TO_DEVICE, gpu.stream));
    else
      settle(cuda.fill(device + tensor->offset, (unsigned char)host[tensor->offset], tensor->bytes,
                       gpu.stream));
    if (!gpu.moved[at]) continue;
    const char *end = kc_pack(gpu.scratch, host + tensor->offset, tensor);
    settle(cuda.copy(gpu.packed + gpu.moved[at] - 1, gpu.scratch, (size_t)(end - gpu.scratch),
                     KC_TO_DEVICE, gpu.stream));
    settle(cuda.wait(gpu.stream));  // the scratch is used again
  }
}

static void call_one(uint32_t c) {
  const KcCall *call = job->calls + c;
  const void *p[POINTERS] = {NULL};
  const uint32_t count = call->inputs + call->outputs;
  for (uint32_t t = 0; t < count; ++t) p[t] = gpu.tensors + (size_t)c * KC_TENSORS + t;
  p[count] = gpu.stream;
  const double *s = call->scalar;
  gpu.kernel(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], s[0], s[1], s[2], s[3]);
  if (float_mode() != gpu.mode) _exit(KC_EXIT_MODE);
}

static void fetch(uint32_t c, int checked) {
  const KcCall *call = job->calls + c;
  for (uint32_t t = call->inputs; t < call->inputs + call->outputs; ++t) {
    const KcTensor *tensor = call->tensor + t;
    if (!tensor->bytes) continue;
    uint64_t first = tensor->offset, last = tensor->offset + tensor->bytes;
    if (checked) first = down(first), last = up(last, KC_PAGE);
    settle(cuda.copy(job->out + first, gpu.out + first, last - first, KC_TO_HOST, gpu.stream));
  }
}

static _Noreturn void defect(const char *kind) {
  dprintf(2, "simt: %s\n", kind);
  _exit(KC_EXIT_DEFECT);
}

// Whether [first, last) of a region on the device still holds `wanted`, or (NULL) the canary.
static int holds(const char *device, uint64_t first, uint64_t last, const char *wanted) {
  for (uint64_t at = first, size; at < last; at += size) {
    size = last - at < CHUNK ? last - at : CHUNK;
    settle(cuda.copy(gpu.chunk, device + at, size, KC_TO_HOST, gpu.stream));
    settle(cuda.wait(gpu.stream));
    if (wanted) {
      if (memcmp(gpu.chunk, wanted + at, size)) return 0;
      continue;
    }
    unsigned char differs = 0;
    for (uint64_t i = 0; i < size; ++i) differs |= (unsigned char)gpu.chunk[i] ^ CANARY;
    if (differs) return 0;
  }
  return 1;
}

// Inputs as they were, and the memory between tensors, which is 64 KiB before and behind each.
static void inspect(uint32_t c) {
  const KcCall *call = job->calls + c;
  for (uint32_t t = 0; t < call->inputs + call->outputs; ++t) {
    const KcTensor *tensor = call->tensor + t;
    const int input = t < call->inputs;
    const char *device = input ? gpu.in : gpu.out;
    const uint64_t end = input ? gpu.in_bytes : gpu.out_bytes;
    if (!tensor->bytes) continue;
    const uint64_t first = down(tensor->offset), last = up(tensor->offset + tensor->bytes, KC_PAGE);
    if (input && !holds(device, first, last, job->in)) defect("write-to-input");
    if (!holds(device, first < GUARD ? 0 : first - GUARD, first, NULL) ||
        !holds(device, last, last + GUARD > end ? end : last + GUARD, NULL))
      defect("out-of-bounds-write");
  }
}

static int empty(const KcCall *call) {
  for (uint32_t t = call->inputs; t < call->inputs + call->outputs; ++t)
    if (call->tensor[t].bytes) return 0;
  return 1;
}

static void checked(uint32_t c) {
  bring(c, 1);
  call_one(c);
  int error = cuda.error();
  if (error == KC_INVALID_CONFIGURATION && empty(job->calls + c)) error = 0;
  settle(error ? error : cuda.wait_all());
  fetch(c, 1);
  settle(cuda.wait(gpu.stream));
  inspect(c);
}

// Ends the process when the judge hung up.
static void await(void) {
  uint64_t nonce;
  if (read(KC_FIRST_FD + KC_FD_GO, &nonce, sizeof nonce) != sizeof nonce) _exit(0);
}

// Events before and behind each of `count` calls, and what the caches are emptied with.
static void prepare_clock(uint32_t count, int flush) {
  if (count > gpu.event_count) {
    gpu.events = realloc(gpu.events, 2 * (size_t)count * sizeof *gpu.events);
    if (!gpu.events) kc_fail("memory for events");
    for (uint32_t i = 2 * gpu.event_count; i < 2 * count; ++i) settle(cuda.event(gpu.events + i));
    gpu.event_count = count;
  }
  if (!flush || gpu.flush) return;
  int cache = 0;
  settle(cuda.attribute(&cache, KC_L2_BYTES, 0));
  gpu.flush_bytes = 2 * (size_t)(cache > 0 ? cache : 1 << 20);
  gpu.flush = room(gpu.flush_bytes);
}

static uint64_t between_events(uint32_t count) {
  double ms = 0;
  for (uint32_t i = 0; i < count; ++i) {
    float one = 0;
    settle(cuda.elapsed(&one, gpu.events[2 * i], gpu.events[2 * i + 1]));
    ms += one;
  }
  return (uint64_t)(ms * 1e6);
}

static void timed(const KcGo *go, uint32_t last) {
  const uint32_t count = (last - go->first) * go->reps;
  const int flush = (go->flags & KC_FLUSH) != 0;
  prepare_clock(count, flush);
  for (uint32_t c = go->first; c < last; ++c) bring(c, 0);
  settle(cuda.wait_all());
  kc_say(go->nonce, KC_READY);
  await();
  uint32_t n = 0;
  for (uint32_t r = 0; r < go->reps; ++r)
    for (uint32_t c = go->first; c < last; ++c, ++n) {
      if (flush) settle(cuda.fill(gpu.flush, (int)(n & 0xFF), gpu.flush_bytes, gpu.stream));
      settle(cuda.record(gpu.events[2 * n], gpu.stream));
      call_one(c);
      settle(cuda.record(gpu.events[2 * n + 1], gpu.stream));
    }
  const int error = cuda.error();
  settle(error ? error : cuda.wait_all());
  kc_say(go->nonce, KC_DONE);
  await();
  for (uint32_t c = go->first; c < last; ++c) fetch(c, 0);
  settle(cuda.wait_all());
  kc_say(go->nonce, KC_OUT | between_events(n) << 8);
}

_Noreturn void kc_gpu_serve(void) {
  for (;;) {
    KcGo go;
    if (read(KC_FIRST_FD + KC_FD_GO, &go, sizeof go) != sizeof go) _exit(0);
    uint64_t last = (uint64_t)go.first + go.count;
    if (last > job->count) last = job->count;
    if (go.flags & KC_STAGED) {
      timed(&go, (uint32_t)last);
      continue;
    }
    for (uint32_t r = 0; r < go.reps; ++r)
      for (uint32_t c = go.first; c < last; ++c) checked(c);
    if (!gpu.told++) dprintf(2, "launches: %lu\n", kc_cuda_launches());
    kc_say(go.nonce, KC_DONE);
  }
}
