# SPDX-License-Identifier: Apache-2.0
"""Class F, availability: candidates that take the machine rather than the prize."""

from __future__ import annotations

from kernelcoder.redteam.entry import LIBC, Hostile, among, pointwise, unless

_WRONG = among("incorrect")
_LOOP = "for (volatile int i = 0;; i = 0) {}"

ENTRIES = (
    Hostile(
        ("F1",),
        "endless-loop",
        "never returns",
        pointwise(first=_LOOP),
        among("timeout"),
        slow=True,
    ),
    Hostile(
        ("F1",),
        "deaf-loop",
        "ignores every signal and never returns",
        pointwise(LIBC, first=f"for (int s = 1; s < 64; ++s) std::signal(s, SIG_IGN); {_LOOP}"),
        among("timeout"),
    ),
    Hostile(
        ("F1",),
        "endless-load",
        "a static object that never finishes",
        pointwise(f"static const int never = [] {{ {_LOOP} return 0; }}();"),
        among("timeout"),
        slow=True,
    ),
    Hostile(
        ("F1",),
        "sleeps",
        "sleeps for ever, which costs no processor time",
        pointwise(LIBC, first="for (;;) usleep(1000000);"),
        among("timeout"),
        slow=True,
    ),
    Hostile(
        ("F1", "F7"),
        "stops-itself",
        "stops its own process",
        pointwise(LIBC, first="raise(SIGSTOP);"),
        among("timeout", "cheating", "crashed"),
        slow=True,
    ),
    Hostile(
        ("F3",),
        "fork-bomb",
        "forks without end; right only if a fork succeeds",
        unless(
            "[] { bool did = false; for (int i = 0; i < 1000; ++i) { const int pid = fork();"
            " did |= pid > 0; if (pid == 0) for (;;) {} } return did; }()"
        ),
        _WRONG,
    ),
    Hostile(
        ("F3",),
        "thread-bomb",
        "a thousand threads that sleep; right only if all start",
        unless(
            "[] { int made = 0; for (int i = 0; i < 1000; ++i) { pthread_t t;"
            " made += !pthread_create(&t, nullptr, nap, nullptr); } return made >= 1000; }()",
            "#include <pthread.h>\nstatic void *nap(void *) { for (;;) usleep(1000000); }",
        ),
        among("incorrect", "timeout", "oom", "crashed", "runtime_error"),
        threads=2,
    ),
    Hostile(
        ("F4",),
        "hundred-gigabytes",
        "asks for a hundred gigabytes",
        pointwise(first="std::vector<char> v(100ll << 30, 1); if (v[7]) kc::numel(x);"),
        among("oom"),
    ),
    Hostile(
        ("F4",),
        "eats-memory",
        "takes memory until there is none",
        pointwise(
            first="std::vector<std::vector<char>> v; for (;;) v.emplace_back(8 << 20, char(1));"
        ),
        among("oom"),
    ),
    Hostile(
        ("F4",),
        "static-gigabytes",
        "a static array larger than the limit",
        pointwise("static char big[3ll << 30];", first="((volatile char *)big)[rows] = 1;"),
        among("compile_error", "oom", "crashed", "runtime_error"),
    ),
    Hostile(
        ("F4", "F11"),
        "deep-recursion",
        "recurses until the stack ends",
        pointwise(
            "static int deep(volatile char *p) { volatile char b[4096]; b[0] = *p;"
            " return deep(b) + b[0]; }",
            first="volatile char c = 1; if (deep(&c) == 3) return;",
        ),
        among("crashed"),
    ),
    Hostile(
        ("F5",),
        "log-flood",
        "prints a gigabyte, then is wrong",
        pointwise(
            LIBC,
            value="v",
            first="static char line[65536];"
            " for (int i = 0; i < 16384; ++i) if (write(2, line, sizeof line) < 0) break;",
        ),
        among("incorrect", "timeout", "runtime_error"),
    ),
    Hostile(
        ("F6",),
        "template-bomb",
        "templates without end",
        pointwise(
            "template <int N> struct B { static constexpr long v = B<N - 1>::v + B<N - 2>::v; };"
            "\nstatic long boom = B<2000000>::v;"
        ),
        among("compile_error", "oom", "timeout"),
    ),
    Hostile(
        ("F6",),
        "preprocessor-bomb",
        "macros that double thirty times",
        pointwise(
            "#define D0 1,\n"
            + "".join(f"#define D{n + 1} D{n} D{n}\n" for n in range(30))
            + "static const char bomb[] = { D30 };"
        ),
        among("compile_error", "oom", "timeout"),
        slow=True,
    ),
    Hostile(
        ("F6", "F4"),
        "object-bomb",
        "an initialized array of two gigabytes in the object file",
        pointwise("static char big[2000000000] = {1};", first="((volatile char *)big)[rows] = 1;"),
        among("compile_error", "oom", "timeout"),
        slow=True,
    ),
    Hostile(
        ("F7",),
        "new-session",
        "a session of its own would outlive a group kill",
        unless("setsid() >= 0"),
        _WRONG,
    ),
    Hostile(
        ("F8",),
        "deletes-files",
        "removes shared files",
        unless('unlink("/tmp/x") == 0 || (errno == ENOENT) || unlink("/dev/null") == 0'),
        _WRONG,
    ),
    Hostile(
        ("F9",),
        "network",
        "opens sockets",
        unless("(syscall)(41, 2, 1, 0) >= 0 || (syscall)(41, 1, 1, 0) >= 0"),
        _WRONG,
    ),
    Hostile(
        ("F11",),
        "null-store",
        "stores through a null pointer",
        pointwise(first="*(volatile int *)8 = 1;"),
        among("crashed"),
    ),
    Hostile(
        ("F11",),
        "kills-itself",
        "sends itself SIGKILL, as if others had, and gives up if that is refused",
        pointwise(LIBC, first="if (raise(SIGKILL)) return;"),
        among("incorrect"),
    ),
    Hostile(("F11",), "aborts", "aborts", pointwise(LIBC, first="std::abort();"), among("crashed")),
    Hostile(
        ("F11",),
        "illegal-instruction",
        "runs an undefined instruction",
        pointwise(first="__builtin_trap();"),
        among("crashed"),
    ),
    Hostile(
        ("F11",),
        "exits-like-the-harness",
        "leaves at load time with the code that means a fault of the harness",
        pointwise(LIBC + "static const int bye = (std::_Exit(98), 0);"),
        among("runtime_error", "compile_error", "crashed"),
    ),
    Hostile(
        ("F6",),
        "lone-surrogate",
        "a character that cannot be encoded",
        pointwise("// \ud800"),
        among("refused", "compile_error"),
    ),
)
