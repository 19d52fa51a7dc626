// SPDX-License-Identifier: Apache-2.0
// System call filters. The strict one is an allow-list: what is not named is refused with EPERM.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#if defined(__x86_64__)
#define KC_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define KC_ARCH AUDIT_ARCH_AARCH64
#else
#error "the candidate sandbox knows x86-64 and aarch64"
#endif

// Both tables name calls by SYS_ constants, so each architecture gets its own numbers; the calls
// that only x86-64 still has stand between #ifdef.
static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_lseek, SYS_close, SYS_fstat,
    SYS_newfstatat, SYS_readlinkat, SYS_faccessat, SYS_getdents64, SYS_mmap,
    SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_exit,
    SYS_exit_group, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
    SYS_restart_syscall, SYS_sched_yield, SYS_sched_getaffinity, SYS_getpid, SYS_gettid,
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrusage, SYS_times, SYS_sysinfo,
    SYS_uname, SYS_getcpu, SYS_set_tid_address, SYS_set_robust_list, SYS_getrandom,
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_membarrier,
#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef __x86_64__
    SYS_time, SYS_readlink, SYS_access,
#endif
};

static const int denied[] = {
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_socket, SYS_connect, SYS_bind,
    SYS_listen, SYS_accept, SYS_accept4, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
    SYS_unshare, SYS_setns, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl,
    SYS_add_key, SYS_request_key, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_settimeofday,
    SYS_clock_settime, SYS_adjtimex, SYS_sethostname, SYS_setdomainname, SYS_quotactl,
    SYS_personality, SYS_shmget, SYS_msgget, SYS_semget, SYS_mq_open, SYS_setpriority,
    SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr, SYS_sched_setaffinity,
    // A compiler needs one folder and one group of processes: nesting could choke whoever cleans up,
    // and who leaves the group is not killed with it.
    SYS_mkdirat, SYS_symlinkat, SYS_linkat, SYS_setsid, SYS_setpgid, SYS_memfd_create,
#ifdef __x86_64__
    SYS_mkdir, SYS_symlink, SYS_link,
#endif
    SYS_open_by_handle_at, SYS_fanotify_init, SYS_inotify_init1, SYS_syslog, SYS_mknodat,
#ifdef SYS_io_uring_setup
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#endif
#ifdef SYS_pidfd_open
    SYS_pidfd_open,
#endif
#ifdef SYS_mknod
    SYS_mknod,
#endif
};

// What a candidate on a GPU may not do besides. Its limits are set before, and stay.
static const int denied_device[] = {
    SYS_execve, SYS_execveat, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_setrlimit, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setresuid, SYS_setgroups, SYS_unlinkat,
    SYS_renameat, SYS_renameat2, SYS_truncate, SYS_ftruncate, SYS_fchmod, SYS_fchmodat, SYS_fchown,
    SYS_fchownat, SYS_utimensat, SYS_socketpair, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_shmat,
    SYS_mlockall, SYS_move_pages, SYS_migrate_pages, SYS_seccomp,
#ifdef __x86_64__
    SYS_fork, SYS_vfork, SYS_unlink, SYS_rename, SYS_rmdir, SYS_creat, SYS_chmod, SYS_chown,
    SYS_lchown, SYS_utime, SYS_utimes, SYS_modify_ldt, SYS_iopl, SYS_ioperm,
#endif
#ifdef SYS_pidfd_send_signal
    SYS_pidfd_send_signal,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef SYS_process_madvise
    SYS_process_madvise,
#endif
};

enum { LONGEST = 512, THREAD = CLONE_THREAD };
typedef struct {
  struct sock_filter code[LONGEST];
  int length;
} Filter;

static void step(Filter *f, int code, unsigned value, int yes, int no) {
  f->code[f->length++] = (struct sock_filter){(unsigned short)code, (unsigned char)yes,
                                              (unsigned char)no, value};
}
static void load(Filter *f, size_t where) { step(f, BPF_LD | BPF_W | BPF_ABS, where, 0, 0); }
static void give(Filter *f, unsigned what) { step(f, BPF_RET | BPF_K, what, 0, 0); }
// Skips `over` instructions unless the loaded word equals (or shares bits with) the value.
static void equal(Filter *f, unsigned value, int over) {
  step(f, BPF_JMP | BPF_JEQ | BPF_K, value, 0, over);
}
static void shares(Filter *f, unsigned bits, int over) {
  step(f, BPF_JMP | BPF_JSET | BPF_K, bits, 0, over);
}
// Low word of an argument; every argument checked here fits in it.
static size_t argument(int n) { return offsetof(struct seccomp_data, args) + 8 * (size_t)n; }

static const unsigned REFUSE = SECCOMP_RET_ERRNO | EPERM;

// A filter is by call number, and numbers mean other calls in another ABI: such callers die.
static void head(Filter *f) {
  f->length = 0;
  load(f, offsetof(struct seccomp_data, arch));
  step(f, BPF_JMP | BPF_JEQ | BPF_K, KC_ARCH, 1, 0);
  give(f, SECCOMP_RET_KILL_PROCESS);
  load(f, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
  step(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);  // x32
  give(f, SECCOMP_RET_KILL_PROCESS);
#endif
}

static void when(Filter *f, int call, unsigned answer) {
  equal(f, (unsigned)call, 1);
  give(f, answer);
}

// Refuses everything if `call` unless the low word of argument n equals value.
static void only(Filter *f, int call, int n, unsigned value) {
  equal(f, (unsigned)call, 4);
  load(f, argument(n));
  equal(f, value, 1);
  give(f, SECCOMP_RET_ALLOW);
  give(f, REFUSE);
}

// Allows calls, 32 numbers at a time: a bit for the number, shifted into place, against a mask of
// those allowed. Installing a filter translates each of its instructions and also tries it with every
// number there is, until it meets one (the shift) that this trial does not follow: a list of
// comparisons, short as it was for each call, took four times as long to install.
static void allow_all(Filter *f, const int *calls, size_t count) {
  enum { WORD = 32, WORDS = LONGEST / WORD };
  unsigned masks[WORDS] = {0};
  for (size_t i = 0; i < count; ++i) masks[calls[i] / WORD] |= 1u << calls[i] % WORD;
  step(f, BPF_ALU | BPF_AND | BPF_K, WORD - 1, 0, 0);
  step(f, BPF_MISC | BPF_TAX, 0, 0, 0);
  step(f, BPF_LD | BPF_IMM, 1, 0, 0);
  step(f, BPF_ALU | BPF_LSH | BPF_X, 0, 0, 0);
  step(f, BPF_MISC | BPF_TAX, 0, 0, 0);  // X: the bit
  load(f, offsetof(struct seccomp_data, nr));
  for (unsigned word = 0; word < WORDS; ++word) {
    if (!masks[word]) continue;
    step(f, BPF_JMP | BPF_JGE | BPF_K, word * WORD, 0, 4);
    step(f, BPF_JMP | BPF_JGE | BPF_K, (word + 1) * WORD, 3, 0);
    step(f, BPF_MISC | BPF_TXA, 0, 0, 0);
    shares(f, masks[word], 1);
    give(f, SECCOMP_RET_ALLOW);
    load(f, offsetof(struct seccomp_data, nr));
  }
}

static int install(Filter *f) {
  struct sock_fprog program = {(unsigned short)f->length, f->code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

// Threads, not processes. clone3 hides its flags in memory, so libc is sent to clone.
static void threads_only(Filter *f) {
  equal(f, SYS_clone, 4);
  load(f, argument(0));
  shares(f, THREAD, 1);
  give(f, SECCOMP_RET_ALLOW);
  give(f, SECCOMP_RET_ERRNO | EAGAIN);
#ifdef SYS_clone3
  when(f, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
#endif
}

// abort() and raise(); but not of SIGKILL, so that one is always somebody else's doing.
static void own_signals(Filter *f) {
  equal(f, SYS_tgkill, 7);
  load(f, argument(0));
  equal(f, (unsigned)getpid(), 4);
  load(f, argument(2));
  equal(f, SIGKILL, 1);
  give(f, REFUSE);
  give(f, SECCOMP_RET_ALLOW);
  give(f, REFUSE);
}

// Reading limits: both words of the new one's address are 0.
static void own_limits(Filter *f) {
  equal(f, SYS_prlimit64, 6);
  load(f, argument(2));
  equal(f, 0, 3);
  load(f, argument(2) + 4);
  equal(f, 0, 1);
  give(f, SECCOMP_RET_ALLOW);
  give(f, REFUSE);
}

int kc_seccomp_strict(int threads) {
  Filter f;
  head(&f);
  allow_all(&f, allowed, sizeof allowed / sizeof *allowed);
  // No thread at all where one is allowed: a helper could work while no clock runs.
  if (threads <= 1) when(&f, SYS_clone, SECCOMP_RET_ERRNO | EAGAIN);
  threads_only(&f);
  // Reading only: where Landlock is lacking, nothing can at least be written, nor disks be filled.
  equal(&f, SYS_openat, 4);
  load(&f, argument(2));
  shares(&f, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1);
  give(&f, REFUSE);
  give(&f, SECCOMP_RET_ALLOW);
  // Handlers, but not for bad accesses: a candidate could hide that it reads past its inputs.
  equal(&f, SYS_rt_sigaction, 6);
  load(&f, argument(0));
  equal(&f, SIGSEGV, 1);
  give(&f, REFUSE);
  equal(&f, SIGBUS, 1);
  give(&f, REFUSE);
  give(&f, SECCOMP_RET_ALLOW);
  own_signals(&f);
  own_limits(&f);
#ifdef __x86_64__
  only(&f, SYS_arch_prctl, 0, 0x1023);  // asking for the tile registers
#endif
  only(&f, SYS_prctl, 0, PR_SET_NAME);
  give(&f, REFUSE);
  return install(&f);
}

// A driver has threads of its own and opens its devices for writing: threads are allowed, and files
// as Landlock allows them, but none is made.
int kc_seccomp_device(void) {
  Filter f;
  head(&f);
  for (size_t i = 0; i < sizeof denied / sizeof *denied; ++i) when(&f, denied[i], REFUSE);
  for (size_t i = 0; i < sizeof denied_device / sizeof *denied_device; ++i)
    when(&f, denied_device[i], REFUSE);
  threads_only(&f);
  equal(&f, SYS_openat, 4);
  load(&f, argument(2));
  shares(&f, O_CREAT | O_TRUNC, 1);
  give(&f, REFUSE);
  give(&f, SECCOMP_RET_ALLOW);
#ifdef __x86_64__
  equal(&f, SYS_open, 4);
  load(&f, argument(1));
  shares(&f, O_CREAT | O_TRUNC, 1);
  give(&f, REFUSE);
  give(&f, SECCOMP_RET_ALLOW);
#endif
#ifdef SYS_openat2
  when(&f, SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);  // its flags are in memory
#endif
  own_signals(&f);
  own_limits(&f);
  give(&f, SECCOMP_RET_ALLOW);
  return install(&f);
}

int kc_seccomp_deny(void) {
  Filter f;
  head(&f);
  for (size_t i = 0; i < sizeof denied / sizeof *denied; ++i) when(&f, denied[i], REFUSE);
  give(&f, SECCOMP_RET_ALLOW);
  return install(&f);
}

// A null program faults where filters exist and is EINVAL where they do not.
int kc_seccomp_available(void) {
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == -1 && errno == EFAULT;
}
