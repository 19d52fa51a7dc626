// SPDX-License-Identifier: Apache-2.0
// What the checked build knows of every byte: who wrote and read it last, and whether anybody did.
// A build is checked if it calls __tsan_init; without one all of this does nothing.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

struct Exec;
struct Region;

enum class Access { READ, WRITE, ATOMIC_READ, ATOMIC_STORE, ATOMIC_WRITE };

// A launch, a block begins; a block ends.
void shadow_launch();
void shadow_block(Exec *e);
void shadow_end();
// The lanes of warp w have met: what each did before comes before what all do after.
void shadow_warp(Exec *e, int w, uint32_t lanes);
// Host code copies bytes (from null: writes defined values).
void shadow_copy(void *to, const void *from, size_t bytes);
// The table of regions has changed; a region goes.
void shadow_forget();
void shadow_release(Region &region);
// An access of instrumented code that is about to happen.
void shadow_access(const volatile void *at, size_t bytes, Access access, const void *pc);
void shadow_enable();

}  // namespace simt
