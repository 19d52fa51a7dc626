// SPDX-License-Identifier: Apache-2.0
// Switching stacks. A context is a stack pointer below which the callee-saved registers lie.
#pragma once
#include <cstddef>

// Saves the running context in *save and goes on with `to`.
extern "C" void simt_switch(void **save, void *to);

namespace simt {
// A context that starts at `entry` with the stack [bottom, top); entry must not return.
void *fresh_context(char *bottom, char *top, void (*entry)());
}  // namespace simt
