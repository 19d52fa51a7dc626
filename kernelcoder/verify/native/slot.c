// SPDX-License-Identifier: Apache-2.0
// A slot: one small process per worker of the judge, started once. It puts on the layers that can
// be inherited (own user, namespaces, Landlock), then forks one child per candidate and reports
// its stops and its end. It holds no secrets.
//   slot SKIP SOCKET   (layers to leave out, KC_NO_...; the descriptor of the judge's socket)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "sandbox.h"

enum { SOCKET = 3 };

// A list of our children that stays readable behind Landlock; -1 where the system keeps none.
static int children = -1;

// Nothing else may be opened. Shared libraries are loaded already, and that candidates can load no
// more is on purpose: a kernel shall not call somebody else's BLAS.
static const KcRule readable[] = {
    {"/sys/devices/system/cpu", KC_READ},  // where OpenMP counts cores
};
// Or this list, if whoever links this file fills it before (zygote.c).
KcRule kc_readable[KC_RULES];
int kc_readable_count;

static void send_event(const KcEvent *event, int fd) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {(void *)event, sizeof *event};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
  }
  if (sendmsg(SOCKET, &message, MSG_NOSIGNAL) < 0) _exit(0);  // the judge is gone
}

// Waits for a job; 0 when the judge hung up.
static int receive(KcJob *job, int *fds) {
  union {
    char bytes[CMSG_SPACE(KC_FDS * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {job, sizeof *job};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got;
  do got = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (got != sizeof *job || !head || head->cmsg_len != CMSG_LEN(KC_FDS * sizeof(int))) return 0;
  memcpy(fds, CMSG_DATA(head), KC_FDS * sizeof(int));
  return 1;
}

// Kills everybody on the list of our children; whether there was anybody.
static int kill_children(void) {
  char list[4096];
  const ssize_t size = children < 0 ? 0 : pread(children, list, sizeof list - 1, 0);
  if (size <= 0) return size < 0;  // not to be read: there may be somebody
  list[size] = 0;
  char *end;
  int found = 0;
  for (char *at = list;; at = end) {
    const long pid = strtol(at, &end, 10);
    if (end == at || *end != ' ') return found;  // the last one may have been cut short
    found |= kill((pid_t)pid, SIGKILL) == 0;
  }
}

// Kills and reaps whatever is left of a candidate. Only a machine without seccomp lets it have
// left anything: orphans come to us (we are a subreaper), so whoever is killed leaves us his own
// children; and with a user of our own kill(-1) reaches all of them and nobody else.
static void sweep(pid_t child, uid_t user) {
  kill(-child, SIGKILL);
  const int listed = kill_children();
  // walks all processes of the machine, so only where the list shows somebody or there is none
  if (user && (listed || children < 0)) kill(-1, SIGKILL);
  while (waitpid(-1, NULL, user || listed ? 0 : WNOHANG) > 0) kill_children();
}

// Reports the child's stops until it ends. Watches the socket too: a judge that died closes it.
static void watch(pid_t child, int signals, uid_t user) {
  struct pollfd fds[2] = {{.fd = signals, .events = POLLIN}, {.fd = SOCKET, .events = POLLRDHUP}};
  for (;;) {
    poll(fds, 2, -1);
    if (fds[1].revents) {
      kill(child, SIGKILL);
      sweep(child, user);
      _exit(0);
    }
    struct signalfd_siginfo drained;
    if (read(signals, &drained, sizeof drained) < 0 && errno != EAGAIN) _exit(1);
    int status;
    struct rusage used;
    while (wait4(child, &status, WNOHANG | WUNTRACED, &used) == child) {
      KcEvent event = {.kind = KC_STOPPED, .status = status, .pid = child};
      if (!WIFSTOPPED(status)) {
        event.kind = KC_EXITED;
        event.cpu_ns = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000ll +
                       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000ll;
        event.max_rss_kb = used.ru_maxrss;
        sweep(child, user);
        send_event(&event, -1);
        return;
      }
      send_event(&event, -1);
    }
  }
}

static void serve(unsigned skip, uid_t user, int counted, int signals) {
  KcJob job;
  int fds[KC_FDS];
  while (receive(&job, fds)) {
    kc_before(&job, fds);
    const pid_t self = getpid(), child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      if (getppid() != self) _exit(0);  // the slot died before it could be told
      if (counted) kc_limit(RLIMIT_NPROC, job.threads + 16, job.threads + 16);
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, NULL);
      kc_child(&job, fds, skip, user != 0);
    }
    for (int i = 0; i < KC_FDS; ++i) close(fds[i]);
    KcEvent event = {.kind = child < 0 ? KC_FAILED : KC_STARTED, .status = errno, .pid = child};
    const int handle = child < 0 ? -1 : (int)syscall(SYS_pidfd_open, child, 0);
    send_event(&event, handle);
    if (handle >= 0) close(handle);
    if (child > 0) watch(child, signals, user);
  }
}

// A network and IPC namespace of its own: as root directly, else inside a user namespace.
static int namespaces(void) {
  const int wanted = CLONE_NEWNET | CLONE_NEWIPC;
  return unshare(getuid() == 0 ? wanted : wanted | CLONE_NEWUSER) == 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const unsigned skip = (unsigned)strtoul(argv[1], NULL, 10);
  if (atoi(argv[2]) != SOCKET && dup2(atoi(argv[2]), SOCKET) < 0) return 2;
  kc_close_from(SOCKET + 1);
  // A library that candidates may call has to be here before there is no opening files any more.
  const char *library = getenv("KC_LIBRARY");
  if (library && !dlopen(library, RTLD_NOW | RTLD_GLOBAL)) return 3;
  unsetenv("KC_LIBRARY");
  KcHello hello = {0};
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  children = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  const int root = getuid() == 0;
  if (!(skip & KC_NO_NAMESPACES)) hello.namespaces = (unsigned)namespaces();
  if (!(skip & KC_NO_UID)) hello.uid = kc_drop_user(-1);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // no other process of the same user may look inside
  kc_begin();
  if (!(skip & KC_NO_LANDLOCK))
    hello.landlock = kc_readable_count
                         ? kc_landlock(kc_readable, kc_readable_count)
                         : kc_landlock(readable, sizeof readable / sizeof *readable);
  if (!(skip & KC_NO_SECCOMP)) hello.seccomp = kc_seccomp_available();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  const int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signals < 0 || send(SOCKET, &hello, sizeof hello, MSG_NOSIGNAL) < 0) return 1;
  serve(skip, hello.uid, hello.uid || (!root && hello.namespaces && kc_counts_apart()), signals);
  return 0;
}
