// SPDX-License-Identifier: Apache-2.0
// What judge (Python), slot and child say to each other. slots.py and regions.py mirror it with
// struct formats; all fields are little-endian and naturally aligned.
#pragma once
#include <stdint.h>

enum { KC_TENSORS = 8, KC_SCALARS = 4, KC_DIMS = 8 };
#define KC_MAGIC 0x31726564726f434bull  // "KCorder1"

// One tensor of a call. offset is from the start of its region, bytes the extent it spans there.
typedef struct {
  uint64_t offset, bytes;
  int32_t ndim;
  uint8_t code, bits;  // DLDataType
  uint16_t lanes;
  int64_t shape[KC_DIMS], strides[KC_DIMS];
} KcTensor;

// One call of the kernel: inputs first, then outputs.
typedef struct {
  uint32_t inputs, outputs, scalars, reserved;
  double scalar[KC_SCALARS];
  KcTensor tensor[KC_TENSORS];
} KcCall;

// At offset 0 of the input region, followed by `calls` records.
typedef struct {
  uint64_t magic;
  uint32_t calls, reserved;
} KcHeader;

// Judge -> slot, with six descriptors: inputs, outputs, go pipe, done pipe, stderr, shared object.
typedef struct {
  uint64_t in_bytes, out_bytes, memory_bytes;
  uint32_t cpu_seconds, threads, output_bytes;
  int32_t core;
} KcJob;
enum { KC_FD_IN, KC_FD_OUT, KC_FD_GO, KC_FD_DONE, KC_FD_ERR, KC_FD_SO, KC_FDS };

// Judge -> child through the go pipe. The child answers READY, waits for the nonce, runs, answers
// DONE. Every answer repeats the nonce, so none can be written ahead of its run. Where nothing is
// to be prepared in between (STRAIGHT) it runs at once and answers DONE only.
typedef struct {
  uint32_t first, count, reps, flags;
  uint64_t nonce;
} KcGo;
enum { KC_TOUCH = 1, KC_STRAIGHT = 2 };
// A child with a device answers READY when the inputs are there, waits for the nonce, runs, answers
// DONE, waits for the nonce again, brings the outputs back and answers OUT: its clocks stand between
// the nonce and DONE. With FLUSH the device's caches are emptied before each call.
enum { KC_STAGED = 4, KC_FLUSH = 8 };
typedef struct {
  uint64_t nonce, kind;
} KcToken;
// OUT carries, in the bits above the lowest eight, nanoseconds between the device's own events.
enum { KC_LOADED = 1, KC_READY = 2, KC_DONE = 3, KC_LOADING = 4, KC_OUT = 5 };

// Slot -> judge. STARTED carries a pidfd.
typedef struct {
  uint32_t kind;
  int32_t status;  // wait status (EXITED)
  int64_t pid, cpu_ns, max_rss_kb;
} KcEvent;
enum { KC_STARTED = 1, KC_STOPPED = 2, KC_EXITED = 3, KC_FAILED = 4 };

// Slot -> judge, once: which layers it could put on. uid is 0 where none of its own was possible.
typedef struct {
  int32_t landlock, seccomp;
  uint32_t uid, namespaces;
} KcHello;

// Layers that a caller may leave out (command line of the slot), for degradation tests.
enum { KC_NO_UID = 1, KC_NO_NAMESPACES = 2, KC_NO_LANDLOCK = 4, KC_NO_SECCOMP = 8 };

// Exit codes of the child before it has loaded a candidate.
enum { KC_EXIT_SYMBOL = 96, KC_EXIT_LOAD = 97, KC_EXIT_HARNESS = 98 };

// A kernel has changed the mode of the floating-point unit.
enum { KC_EXIT_MODE = 94 };

// An emulator has seen the kernel do what its language leaves undefined or a device refuses; a
// Python candidate wants machine code of kernels that are not built yet. Either is told on stderr.
enum { KC_EXIT_DEFECT = 92, KC_EXIT_WANTS = 93 };

// The device reports an error, whose name stands on stderr.
enum { KC_EXIT_DEVICE = 91 };
