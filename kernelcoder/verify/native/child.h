// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "protocol.h"

// Becomes the sandboxed process of one candidate; never returns. `fds` are the six of the job,
// `skip` the layers to leave out (KC_NO_...), own_user whether process limits count only us.
_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user);
