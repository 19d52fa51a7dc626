# SPDX-License-Identifier: Apache-2.0
"""The attacks on the machine, each a C++ body that returns whether it *succeeded*, and on which
machines it does.

The list is that of the first column of the isolation table in docs/isolation.md, which is made from
``ROWS`` here: 33 attacks, one that forges the clock, and four that layers of this version were
built for. A body may use ``JUDGE`` (process id) and ``ARG`` (an integer whose meaning it names).
"""

from __future__ import annotations

from dataclasses import dataclass

PRELUDE = r"""
#include <dlpack/dlpack.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#define JUDGE ((int)judge)
#define ARG ((int)argument)
static char path[256];
static const char *proc(int pid, const char *name) {
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return path;
}
static const char *prepared(int owner, const char *name) {
  snprintf(path, sizeof path, "/tmp/kernelcoder-attack-%d/%s", owner, name);
  return path;
}
static int opens(const char *name, int flags) {
  const int fd = open(name, flags, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
static int touch(long bytes) {
  volatile char *p = (volatile char *)malloc(bytes);
  for (long i = 0; p && i < bytes; i += 4096) p[i] = 1;
  return p != nullptr;
}
static void *nap(void *) { for (;;) usleep(100000); }
static int loopback(int kind, int port) {
  const int s = socket(AF_INET, kind, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET, to.sin_port = htons(port), to.sin_addr.s_addr = htonl(0x7f000001);
  const int made = s >= 0 && connect(s, (sockaddr *)&to, sizeof to) == 0;
  return made && send(s, "x", 1, MSG_NOSIGNAL) == 1;
}
// Forks up to `most` times; children run `work`, wait, and are killed. How many were made.
template <class Work> static int forks(int most, Work work) {
  static int pids[512];
  volatile int *ready = (volatile int *)mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int made = 0;
  while (made < most) {
    const int pid = fork();
    if (pid == 0) { work(); __sync_fetch_and_add(ready, 1); for (;;) usleep(100000); }
    if (pid < 0) break;
    pids[made++] = pid;
  }
  for (int i = 0; i < 500 && *ready < made && waitpid(-1, nullptr, WNOHANG) == 0; ++i)
    usleep(10000);  // until all have done their work, or one is dead, or 5 s
  usleep(300000);   // for who looks only now and then
  int alive = 0;
  for (int i = 0; i < made; ++i) alive += waitpid(pids[i], nullptr, WNOHANG) == 0;
  for (int i = 0; i < made; ++i) kill(pids[i], SIGKILL), waitpid(pids[i], nullptr, 0);
  return alive;
}
template <class Work> static int in_child(Work work) {  // whether a process made for it succeeds
  const int pid = fork();
  if (pid == 0) _exit(work() ? 0 : 1);
  int status = 1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
"""


@dataclass(frozen=True, slots=True)
class Attack:
    """``body`` of a function ``int attack(double judge, double argument)``: 1 if it succeeded.

    ``needs`` says what ARG is: a port, a descriptor, the name of a socket. ``ends`` marks attacks
    that no longer answer: they succeed if the candidate is not ended by its limits or the judge."""

    name: str
    body: str
    needs: str = ""
    ends: bool = False


ATTACKS = (
    Attack("fork bomb", "return forks(120, [] {}) >= 100;"),
    Attack(
        "200 threads",
        "int n = 0; pthread_t t; while (n < 200 && !pthread_create(&t, 0, nap, 0)) ++n;"
        "return n == 200;",
    ),
    Attack("map 100 GB", "return mmap(0, 100ull << 30, 3, 0x22, -1, 0) != MAP_FAILED;"),
    Attack(
        "touch 3 GB",
        "int n = 0; while (n < 96 && touch(32 << 20)) ++n; return n == 96;",
    ),
    Attack(
        "memory file of 2 GB",
        'const int fd = syscall(SYS_memfd_create, "m", 0); static char c[1 << 20]; long n = 0;'
        "for (int i = 0; i < 2048 && fd >= 0; ++i) { const long w = write(fd, c, sizeof c);"
        "if (w <= 0) break; n += w; } return n >= 1l << 31;",
    ),
    Attack(
        "endless loop, deaf",
        'for (int i = 1; i < 64; ++i) signal(i, SIG_IGN); for (;;) asm("");',
        ends=True,
    ),
    Attack("crash", "*(volatile int *)8 = 1; return 1;", ends=True),
    Attack(
        "append to a file of ours", 'return opens(prepared(JUDGE, "ours"), O_WRONLY | O_APPEND);'
    ),
    Attack("read a secret", 'return opens(prepared(JUDGE, "secret"), O_RDONLY);'),
    Attack(
        "fill the disk, one file",
        'const int fd = open(prepared(JUDGE, "open/big"), O_CREAT | O_WRONLY, 0600);'
        "static char c[1 << 20]; long n = 0; for (int i = 0; i < 64 && fd >= 0; ++i) {"
        "const long w = write(fd, c, sizeof c); if (w <= 0) break; n += w; } return n >= 1l << 26;",
    ),
    Attack("TCP to loopback", "return loopback(SOCK_STREAM, ARG);", "tcp"),
    Attack("UDP", "return loopback(SOCK_DGRAM, ARG);", "udp"),
    Attack(
        "abstract unix socket",
        "const int s = socket(AF_UNIX, SOCK_STREAM, 0); sockaddr_un to{}; to.sun_family = AF_UNIX;"
        'const int n = snprintf(to.sun_path + 1, 90, "kernelcoder-attack-%d", JUDGE);'
        "return s >= 0 && connect(s, (sockaddr *)&to, 3 + n) == 0;",
    ),
    Attack(
        "io_uring",
        "static char parameters[512]; return syscall(425, 4, parameters) >= 0;",
    ),
    Attack("ptrace the judge", "return ptrace(PTRACE_SEIZE, ARG, 0, 0) == 0;", "bystander"),
    Attack(
        "read the judge's memory",
        "char c[8]; iovec to{c, 8}, from{(void *)0x400000, 8};"
        "return process_vm_readv(JUDGE, &to, 1, &from, 1, 0) > 0 || errno == EFAULT;",
    ),
    Attack("/proc/judge/mem", 'return opens(proc(JUDGE, "mem"), O_RDONLY);'),
    Attack("/proc/judge/environ", 'return opens(proc(JUDGE, "environ"), O_RDONLY);'),
    Attack("/proc/judge/fd", 'return opens(proc(JUDGE, "fd/1"), O_WRONLY);'),
    Attack("signal the judge", "return kill(JUDGE, 0) == 0;"),
    Attack(
        "daemon that survives",
        "const int pid = fork(); if (pid == 0) { setsid(); if (fork() == 0) {"
        'char name[16]; snprintf(name, 16, "kcs%d", JUDGE);'
        "prctl(PR_SET_NAME, name); for (;;) usleep(10000); } _exit(0); }"
        "if (pid > 0) waitpid(pid, 0, 0); return pid > 0 ? 2 : 0;",
    ),
    Attack(
        "start a program",
        'return in_child([] { execl("/bin/true", "true", (char *)0); return 0; });',
    ),
    Attack(
        "SysV memory left behind",
        "const int id = syscall(SYS_shmget, 0, 4096, 01600); return id >= 0 ? 2 : 0;",
    ),
    Attack("higher priority", "return setpriority(PRIO_PROCESS, 0, -10) == 0;"),
    Attack(
        "real-time scheduling",
        "const sched_param one{1}; return sched_setscheduler(0, SCHED_FIFO, &one) == 0;",
    ),
    Attack(
        "leave the core",
        "cpu_set_t all; memset(&all, 0xff, sizeof all);"
        "return sched_setaffinity(0, sizeof all, &all) == 0;",
    ),
    Attack("new user namespace", "return in_child([] { return !unshare(CLONE_NEWUSER); });"),
    Attack(
        "mount",
        "return in_child([] { return (!unshare(CLONE_NEWNS) ||"
        ' !unshare(CLONE_NEWUSER | CLONE_NEWNS)) && !mount(0, "/", 0, MS_REC | MS_PRIVATE, 0); });',
    ),
    Attack(
        "performance counters",
        "perf_event_attr a{}; a.size = sizeof a; a.type = PERF_TYPE_SOFTWARE;"
        "a.config = PERF_COUNT_SW_CPU_CLOCK;"
        "return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0) >= 0;",
    ),
    Attack(
        "system calls of another ABI",
        '#ifdef __x86_64__\nint got; asm volatile("int $0x80" : "=a"(got) : "a"(20) : "memory");'
        "return got > 0;\n#else\nreturn 0;\n#endif\n",
    ),
    Attack("environment of the judge", 'return getenv("KERNELCODER_ATTACK_SECRET") != 0;'),
    Attack(
        "inherited descriptors",
        "int n = 0; for (int fd = 3; fd < 1024; ++fd) n += fcntl(fd, F_GETFD) >= 0; return n > 2;",
    ),
    Attack("stat of a secret", 'struct stat s; return stat(prepared(JUDGE, "secret"), &s) == 0;'),
    Attack(
        "clock forger",
        "unsigned long done[2] = {0, 3}; for (int fd = 3; fd < 16; ++fd) write(fd, done, 16);"
        "return 1;",
        ends=True,
    ),
    Attack(
        "fill the disk, many files",
        'char name[32]; int n = 0; for (; n < 300; ++n) { snprintf(name, 32, "open/%d", n);'
        "if (!opens(prepared(JUDGE, name), O_CREAT | O_WRONLY)) break; } return n == 300;",
    ),
    Attack(
        "memory of many processes",
        "return forks(6, [] { touch(60 << 20); }) == 6;",
        "small",
    ),
    Attack(
        "die as if killed by others",
        "kill(getpid(), SIGKILL); raise(SIGKILL); return 0;",
        ends=True,
    ),
    Attack(
        "hide reading past the end",
        "return signal(SIGSEGV, SIG_IGN) != SIG_ERR;",
    ),
)
