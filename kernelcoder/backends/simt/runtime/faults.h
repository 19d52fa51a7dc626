// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace simt {

// Handlers for bad accesses, once per process; inside the sandbox they must be there before.
void enter_child();
// A stack for handlers of the calling OS thread: the one that overflowed cannot run its own.
void alternate_stack();

}  // namespace simt
