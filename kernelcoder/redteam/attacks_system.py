# SPDX-License-Identifier: Apache-2.0
"""Classes C, D, E and F without a name to find: the system calls are machine code in the text of
the kernel, so that neither guard nor symbol audit see them and the sandbox has to hold."""

from __future__ import annotations

from kernelcoder.redteam.entry import RAW, RELU, Hostile, among, pointwise, unless

_WRONG = among("incorrect", "refused")

# Calls that would each open a way out: name, number on x86-64, arguments.
_CALLS: tuple[tuple[str, str], ...] = (
    ("socket", "41, 2, 1, 0"),
    ("socketpair", "53, 1, 1, 0, (long)pair"),
    ("ptrace", "101, 0, 0, 0, 0"),
    ("process_vm_readv", "310, (long)raw(110), (long)pair, 1, (long)pair, 1, 0"),
    ("unshare", "272, 0x10000000"),
    ("setns", "308, 0, 0"),
    ("mount", "165, 0, 0, 0, 0, 0"),
    ("chroot", "161, (long)slash"),
    ("bpf", "321, 0, (long)pair, 8"),
    ("perf_event_open", "298, (long)pair, 0, -1, -1, 0"),
    ("userfaultfd", "323, 1"),
    ("io_uring_setup", "425, 1, (long)pair"),
    ("pidfd_open", "434, (long)raw(110), 0"),
    ("memfd_create", "319, (long)slash, 0"),
    ("memfd_secret", "447, 0"),
    ("shmget", "29, 7, 4096, 01600"),
    ("msgget", "68, 7, 01600"),
    ("semget", "64, 7, 1, 01600"),
    ("mq_open", "240, (long)slash, 0102, 0600, 0"),
    ("inotify_init1", "294, 0"),
    ("fanotify_init", "300, 0, 0"),
    ("keyctl", "250, 0, -3, 1"),
    ("add_key", "248, (long)slash, (long)slash, 0, 0, -3"),
    ("name_to_handle_at", "303, -100, (long)slash, (long)pair, (long)pair, 0"),
    ("personality", "135, 0x0040000"),
    ("sched_setaffinity", "203, 0, 8, (long)ones"),
    ("sched_setscheduler", "144, 0, 3, (long)pair"),
    ("setpriority", "141, 0, 0, 5"),
    ("ioprio_set", "251, 1, 0, 0x4000"),
    ("setitimer", "38, 0, (long)pair, 0"),
    ("timer_create", "222, 1, 0, (long)pair"),
    ("alarm", "37, 100"),
    ("setsid", "112"),
    ("setuid", "105, 0"),
    ("setrlimit", "160, 7, (long)ones"),
    ("prlimit of the parent", "302, (long)raw(110), 7, 0, (long)pair"),
    ("kill of itself by number", "62, (long)raw(39), 0"),
    ("tgkill of the parent", "234, (long)raw(110), (long)raw(110), 0"),
    ("execve", "59, (long)slash, 0, 0"),
    ("execveat", "322, -100, (long)slash, 0, 0, 0x1000"),
    ("fork", "57"),
    ("vfork by clone", "56, 0x4111, 0, 0, 0, 0"),
    ("dup2", "33, 1, 20"),
    ("fcntl to a new number", "72, 2, 0, 20"),
    ("ftruncate", "77, 2, 1 << 20"),
    ("pwrite", "18, 2, (long)slash, 1, 1 << 20"),
    ("sendfile", "40, 2, 5, 0, 8"),
    ("splice", "275, 5, 0, 2, 0, 8, 0"),
    ("unlink", "87, (long)slash"),
    ("mkdir", "83, (long)name, 0777"),
    ("symlink", "88, (long)slash, (long)name"),
    ("chmod", "90, (long)slash, 0777"),
    ("mlock", "149, (long)pair, 4096"),
    ("seccomp", "317, 1, 0, (long)pair"),
    ("prctl, to be dumped", "157, 4, 1, 0, 0, 0"),
    ("prctl, to outlive the parent", "157, 1, 0, 0, 0, 0"),
    ("landlock_create_ruleset", "444, (long)ones, 8, 0"),
    ("kcmp", "312, (long)raw(39), (long)raw(110), 0, 0, 0"),
    ("syslog", "103, 2, (long)pair, 8"),
)
_DATA = """
static long pair[512];
static const long ones[8] = {1, 1, 0, 0, 0, 0, 0, 0};
static const char slash[] = "/", name[] = "/tmp/kernelcoder-redteam";
"""


def _any_call() -> str:
    """True if any call of the table is let through."""
    tries = "\n".join(f"  did |= raw({args}) >= 0;  // {name}" for name, args in _CALLS)
    return f"{_DATA}static bool tries() {{\n  bool did = false;\n{tries}\n  return did;\n}}\n"


def _raw(ids: str, name: str, mechanism: str, act: str, before: str = "") -> Hostile:
    return Hostile(tuple(ids.split()), name, mechanism, unless(act, before), _WRONG)


_OPEN = "raw(257, -100, (long){path}, {flags}, 0600) >= 0"


def _opens(path: str, flags: str = "0") -> str:
    return _OPEN.format(path=f'"{path}"', flags=flags)


_REFUSED = (
    _raw(
        "D10 D12 F9",
        "sixty-system-calls",
        "tries sixty ways out by number: sockets, tracing, namespaces, timers, keys, programs",
        "tries()",
        _any_call(),
    ),
    _raw(
        "D12 D24",
        "opens-files-by-number",
        "opens its own memory, the judge's environment, sources and devices by system call",
        " || ".join(
            [
                _opens("/proc/self/mem", "2"),
                _opens("/proc/self/environ"),
                _opens("/proc/1/environ"),
                _opens("/etc/passwd"),
                _opens("/dev/shm/x", "0102"),
                _opens("/tmp/x", "0102"),
                _opens("/tmp", "020200002"),  # a file without a name (O_TMPFILE)
                _opens("/dev/urandom"),
                _opens("/sys/kernel/mm/transparent_hugepage/enabled"),
                _opens("."),
            ]
        ),
    ),
    _raw(
        "C6",
        "reopens-its-input-by-number",
        "makes the input writable by system call, or punches a hole into it",
        "raw(10, (uintptr_t)x->data & ~uintptr_t(4095), 4096, 3) >= 0 ||"
        " raw(28, (uintptr_t)x->data & ~uintptr_t(4095), 4096, 9) >= 0",
    ),
)

_DIES = (
    Hostile(
        ("D12",),
        "other-abi-x32",
        "makes a call by the numbers of another ABI",
        pointwise(RAW, first="if (raw(0x40000000 + 39) > 0) return;"),
        among("crashed", "refused"),
    ),
    Hostile(
        ("D12",),
        "other-abi-int80",
        "calls the kernel of the system by the 32-bit gate",
        pointwise(
            '[[gnu::section(".text.gate,\\"ax\\",@progbits #")]] static const unsigned char'
            " gate[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3};",
            first="if (((int (*volatile)())gate)() > 0) return;",
        ),
        among("crashed", "refused"),
    ),
    Hostile(
        ("C6",),
        "replaces-its-input",
        "maps pages of its own over the input and clears them",
        pointwise(
            RAW,
            first="""
  const uintptr_t page = (uintptr_t)x->data & ~uintptr_t(4095);
  if (n && rows) raw(9, page, 4096, 3, 0x32, -1L, 0L);""",
        ),
        among("incorrect", "crashed", "refused"),
    ),
    Hostile(
        ("C3", "C10"),
        "moves-its-output",
        "moves the pages of its output elsewhere, so that nothing checks what it writes",
        pointwise(
            RAW,
            last="""
    if (n && rows) {
      const uintptr_t page = (uintptr_t)out & ~uintptr_t(4095);
      raw(25, page, 4096, 4096, 1);
    }""",
            value=f"i == n - 1 ? -1.0f : ({RELU})",
        ),
        among("incorrect", "crashed", "refused"),
    ),
    Hostile(
        ("F11", "D25"),
        "looks-like-our-fault",
        "says on stderr what a lost slot says, so that it may be judged again",
        pointwise(
            RAW,
            value="v",
            first="""
  static const char last[] = "(the slot ended)";
  raw(1, 2, last, sizeof last - 1);
  raw(234, raw(39), raw(39), 9);""",
        ),
        among("crashed", "oom", "refused", "timeout", "incorrect"),
    ),
    Hostile(
        ("F1", "F7"),
        "swallows-the-order",
        "reads the judge's next order from the pipe instead of the harness",
        pointwise(
            RAW, first="static char order[24]; static int calls; if (calls++) raw(0, 5, order, 24);"
        ),
        among("timeout", "cheating", "crashed", "refused", "incorrect"),
        slow=True,
    ),
    Hostile(
        ("F4",),
        "thousands-of-mappings",
        "cuts its address space into small pieces until no more can be made",
        pointwise(
            RAW,
            first="""
  long at = 1;
  for (int k = 0; at > 0; ++k) at = raw(9, 0L, 4096L, k & 1 ? 1L : 3L, 0x22L, -1L, 0L);
  std::vector<float> big(1 << 24, 1.0f);
  if (big[rows] == 3) return;""",
        ),
        among("oom", "crashed", "runtime_error", "refused"),
    ),
)

ENTRIES = (*_REFUSED, *_DIES)
