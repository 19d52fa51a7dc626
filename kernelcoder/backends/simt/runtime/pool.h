// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace simt {

// Runs all blocks of the current launch, on as many OS threads as the settings allow and the system
// grants. A checked build runs on one.
void run_blocks(void (*body)(void *), void *context);

}  // namespace simt
