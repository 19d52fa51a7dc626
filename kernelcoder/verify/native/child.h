// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "protocol.h"
#include "sandbox.h"

enum { KC_RULES = 32 };
extern KcRule kc_readable[KC_RULES];
extern int kc_readable_count;

// In the slot, before Landlock: may fill the list of what its children can read.
void kc_begin(void);

// In the slot, before it forks: whatever of a job its children can inherit.
void kc_before(const KcJob *job, const int *fds);

// Becomes the sandboxed process of one candidate; never returns. `fds` are the six of the job,
// `skip` the layers to leave out (KC_NO_...), own_user whether process limits count only us.
_Noreturn void kc_child(const KcJob *job, const int *fds, unsigned skip, int own_user);
