// SPDX-License-Identifier: Apache-2.0
// The layers that slot and launcher put on. None needs root; each reports whether it holds.
#pragma once
#include <stdint.h>
#include <sys/types.h>

enum { KC_READ = 1, KC_EXEC = 2, KC_WRITE = 4, KC_DEVICE = 8 };  // KC_DEVICE: read, write, ioctl
typedef struct {
  const char *path;
  int access;  // of the above
} KcRule;

// Forbids every file, TCP port, outside signal and abstract socket but the rules (as far as the
// kernel's ABI goes). Returns the ABI, or 0 where the kernel has none.
int kc_landlock(const KcRule *rules, int count);

// Allow-list for candidates: memory, clocks, the two pipes, and threads if more than one is
// allowed. 0, or -1.
int kc_seccomp_strict(int threads);
// Deny-list for compilers: network, tracing, mounts, kernel interfaces. 0, or -1.
int kc_seccomp_deny(void);
// Deny-list for candidates on a GPU, whose driver makes calls that nobody lists: everything that
// the one for compilers forbids, and processes, programs, signals to others, new files. 0, or -1.
int kc_seccomp_device(void);
// Whether this kernel takes seccomp filters.
int kc_seccomp_available(void);

// Gives up root for a user id nobody else has. Returns it; 0 if we are not root or may not.
uid_t kc_drop_user(int directory);

// Whether a user namespace counts its processes apart from the user's others: since Linux 5.14.
int kc_counts_apart(void);

void kc_limit(int resource, uint64_t soft, uint64_t hard);
void kc_close_from(int first);
