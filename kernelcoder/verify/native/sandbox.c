// SPDX-License-Identifier: Apache-2.0
// Landlock, user ids and limits by plain system calls: no library, no container, no privilege.
#define _GNU_SOURCE
#include "sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

// Landlock's numbers, spelt out because the build machine's headers may be older than its kernel.
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD = 445, LANDLOCK_RESTRICT = 446 };
enum {
  FS_EXECUTE = 1 << 0,
  FS_WRITE_FILE = 1 << 1,
  FS_READ_FILE = 1 << 2,
  FS_READ_DIR = 1 << 3,
  FS_REMOVE_FILE = 1 << 5,
  FS_MAKE_REG = 1 << 8,
  FS_ABI1 = (1 << 13) - 1,
  FS_REFER = 1 << 13,
  FS_TRUNCATE = 1 << 14,
  FS_IOCTL = 1 << 15,
};
typedef struct {
  uint64_t fs, net, scoped;
} Ruleset;
typedef struct {
  uint64_t access;
  int32_t parent;
} __attribute__((packed)) Beneath;

static void allow(int ruleset, const KcRule *rule, uint64_t handled) {
  const int fd = open(rule->path, O_PATH | O_CLOEXEC);
  if (fd < 0) return;  // a directory this machine does not have
  uint64_t access = 0;
  if (rule->access & KC_READ) access |= FS_READ_FILE | FS_READ_DIR;
  if (rule->access & KC_EXEC) access |= FS_EXECUTE;
  // Plain files in this one folder: no folders in it, links, pipes or devices.
  if (rule->access & KC_WRITE) access |= FS_WRITE_FILE | FS_MAKE_REG | FS_REMOVE_FILE | FS_TRUNCATE;
  if (rule->access & KC_DEVICE) access |= FS_READ_FILE | FS_WRITE_FILE | FS_IOCTL;
  struct stat info;
  if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode))
    access &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL;
  Beneath beneath = {access & handled, fd};
  syscall(LANDLOCK_ADD, ruleset, 1, &beneath, 0);
  close(fd);
}

int kc_landlock(const KcRule *rules, int count) {
  const long abi = syscall(LANDLOCK_CREATE, NULL, 0, 1);
  if (abi < 1) return 0;
  Ruleset set = {FS_ABI1, 0, 0};
  if (abi >= 2) set.fs |= FS_REFER;
  if (abi >= 3) set.fs |= FS_TRUNCATE;
  if (abi >= 4) set.net = 3;  // bind and connect of TCP
  if (abi >= 5) set.fs |= FS_IOCTL;
  if (abi >= 6) set.scoped = 3;  // abstract sockets and signals of others
  const size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;
  const long ruleset = syscall(LANDLOCK_CREATE, &set, size, 0);
  if (ruleset < 0) return 0;
  for (int i = 0; i < count; ++i) allow((int)ruleset, rules + i, set.fs);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long failed = syscall(LANDLOCK_RESTRICT, ruleset, 0);
  close((int)ruleset);
  return failed ? 0 : (int)abi;
}

// The id is a base plus our process id: no two sandboxes alive share one, so process limits and
// signals are per sandbox. The second base is for containers that map 65536 ids only.
uid_t kc_drop_user(int directory) {
  if (getuid() != 0) return 0;
  const uid_t wanted[] = {1800000000u + (uid_t)getpid(), 20000u + (uid_t)getpid() % 40000u};
  for (int i = 0; i < 2; ++i) {
    const uid_t id = wanted[i];
    if (directory >= 0 && fchown(directory, id, id)) continue;
    if (setgroups(0, NULL) || setresgid(id, id, id)) continue;
    if (setresuid(id, id, id) == 0) return id;
  }
  return 0;
}

int kc_counts_apart(void) {
  struct utsname system;
  int major, minor;
  if (uname(&system) || sscanf(system.release, "%d.%d", &major, &minor) != 2) return 0;
  return major > 5 || (major == 5 && minor >= 14);
}

void kc_limit(int resource, uint64_t soft, uint64_t hard) {
  struct rlimit now, wanted = {soft, hard};
  if (getrlimit(resource, &now) == 0 && now.rlim_max != RLIM_INFINITY) {
    if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
  }
  setrlimit(resource, &wanted);
}

void kc_close_from(int first) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0u, 0) == 0) return;
#endif
  for (int fd = first; fd < 1024; ++fd) close(fd);
}
