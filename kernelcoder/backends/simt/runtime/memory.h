// SPDX-License-Identifier: Apache-2.0
// The device's memory: the arguments of the call and what was allocated, each with a name.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

class Shadow;

struct Region {
  const char *name;
  char *base;
  size_t bytes;
  bool writable, owned, host;   // host: host code may use it too
  char *map;                    // owned: what was mapped, with the guards
  size_t mapped;
  unsigned char canary;         // owned: what fills the rest of its pages
  Shadow *shadow;               // of the checked build, made at first use
};

// The region that an address belongs to or is nearest to, within 64 KiB; null if there is none.
// *offset is from the region's start, negative before it.
Region *find_region(uintptr_t at, long *offset);
// Ends the process if a byte around an allocation has changed.
void check_canaries();
// Forgets what the checked build knows of the order of accesses (a launch begins).
void each_region(void (*visit)(Region &));

}  // namespace simt
