// SPDX-License-Identifier: Apache-2.0
// Runs commands one after the other inside the compile sandbox, in the current directory:
//   launch MEMORY_MB CPU_SECONDS FILE_MB INCLUDE_DIR PATH... -- command... [--then command...]
// The current directory is writable, INCLUDE_DIR (as /proc/self/fd/9) and PATHs are readable and
// executable, everything else is closed. Exits with the first failing status (128 + signal).
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

enum { INCLUDE_FD = 9, RULES = 64 };

// The judge died: everybody we started is in our group, and nobody may leave it.
static void orphaned(int number) {
  (void)number;
  kill(0, SIGKILL);
}

// Runs argv up to a NULL and waits for it.
static int run(char **argv) {
  const pid_t child = fork();
  if (child < 0) return 125;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    execv(argv[0], argv);
    dprintf(2, "cannot run the compiler: %m\n");
    _exit(126);
  }
  int status;
  if (waitpid(child, &status, 0) != child) return 125;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int gather(KcRule *rules, char **paths) {
  int count = 0;
  rules[count++] = (KcRule){".", KC_READ | KC_WRITE};
  // Compilers open it; as another user, or with write but not make rights, nobody can replace it.
  rules[count++] = (KcRule){"/dev/null", KC_READ | KC_WRITE};
  for (; *paths && strcmp(*paths, "--") != 0 && count < RULES; ++paths)
    rules[count++] = (KcRule){*paths, KC_READ | KC_EXEC};
  return count;
}

static void confine(char **argv, int directory) {
  const uint64_t cpu = strtoull(argv[2], NULL, 10);
  // Process limits count one user's processes, so they are set only where those are ours alone.
  const int apart = getuid() != 0 && kc_counts_apart() && unshare(CLONE_NEWUSER) == 0;
  KcRule rules[RULES + 1];
  const int count = gather(rules, argv + 4);  // the include directory is the first of the paths
  kc_landlock(rules, count);  // while we may still walk to the include directory
  const uid_t user = kc_drop_user(directory);
  signal(SIGTERM, orphaned);
  prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);  // a change of user clears it
  kc_seccomp_deny();
  kc_limit(RLIMIT_AS, strtoull(argv[1], NULL, 10) << 20, strtoull(argv[1], NULL, 10) << 20);
  kc_limit(RLIMIT_CPU, cpu, cpu + 1);
  kc_limit(RLIMIT_FSIZE, strtoull(argv[3], NULL, 10) << 20, strtoull(argv[3], NULL, 10) << 20);
  kc_limit(RLIMIT_CORE, 0, 0);
  kc_limit(RLIMIT_NOFILE, 64, 64);
  if (user || apart) kc_limit(RLIMIT_NPROC, 16, 16);
}

int main(int argc, char **argv) {
  int command = 5;
  while (command < argc && strcmp(argv[command], "--") != 0) ++command;
  if (command + 1 >= argc) return 125;
  const int include = open(argv[4], O_PATH | O_DIRECTORY);
  const int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (include < 0 || here < 0 || (include != INCLUDE_FD && dup2(include, INCLUDE_FD) < 0)) return 125;
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // whoever counts below us shall miss nobody
  const int kept = fcntl(here, F_DUPFD_CLOEXEC, INCLUDE_FD + 1);
  for (int fd = 3; fd < INCLUDE_FD; ++fd) close(fd);
  confine(argv, kept);
  kc_close_from(INCLUDE_FD + 1);
  char **start = argv + command + 1;
  for (char **at = start;; ++at) {
    if (*at && strcmp(*at, "--then") != 0) continue;
    const int last = *at == NULL;
    *at = NULL;
    const int status = run(start);
    if (status || last) return status;
    start = at + 1;
  }
}
