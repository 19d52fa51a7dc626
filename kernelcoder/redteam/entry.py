# SPDX-License-Identifier: Apache-2.0
"""What one hostile or honest candidate of the corpus is, and the C++ that many are made of."""

from __future__ import annotations

from dataclasses import dataclass

CAUGHT = frozenset(
    {
        "refused", "compile_error", "incorrect", "cheating", "crashed",
        "runtime_error", "timeout", "oom",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hostile:
    """One attack.

    ``ids`` are its entries of the catalogue (docs/redteam.md). ``accept`` are the statuses that
    count as caught. ``verified`` among them needs a ``twin``: the same kernel without the attack;
    its time must then not be more than 1.6 times the attack's. ``escape`` says why the verifier is
    known to fall for it: the test then fails as expected, and loudly once the hole is closed (not
    so with ``by_luck``: an escape that only sometimes gains enough to be seen).
    """

    ids: tuple[str, ...]
    name: str
    mechanism: str
    source: str
    accept: frozenset[str]
    task: str = "relu"
    timed: bool = False
    twin: str = ""
    escape: str = ""
    slow: bool = False
    threads: int = 1  # what the verifier allows
    by_luck: bool = False
    prepare: tuple[str, ...] = ()  # candidates judged before it, by the same verifier
    backend: str = "cpu"


@dataclass(frozen=True, slots=True)
class Honest:
    """One kernel that must be verified, and what about it might look wrong to a nervous judge."""

    name: str
    looks: str
    source: str
    task: str = "relu"
    threads: int = 1
    backend: str = "cpu"


def caught_as(entry: Hostile) -> str:
    """What docs/redteam.md says of an attack."""
    if entry.escape:
        return f"**not caught**: {entry.escape}"
    names = sorted(entry.accept - {"verified"})
    return ", ".join([*names, "or counted in full"] if entry.twin else names)


def among(*statuses: str) -> frozenset[str]:
    """The acceptable statuses of an attack; a misspelled one is an error."""
    chosen = frozenset(statuses)
    if unknown := chosen - CAUGHT - {"verified"}:
        raise ValueError(f"no such status: {sorted(unknown)}")
    return chosen


HEAD = "#include <kernelcoder.h>\n"
RELU = "v < 0 ? 0.0f : v"
WRONG = "v"

# Element by element over any layout, with room for mischief around the loop and in the value.
_POINTWISE = """#include <kernelcoder.h>
%(before)s
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::numel(x) ? kc::rows(x) : 0, n = kc::cols(x), step = kc::col_stride(x);
  const bool timed = n == 512;
  (void)timed;
  %(first)s
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *in = kc::data<T>(x);
    T *out = kc::data<T>(y);
    (void)in, (void)out;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[kc::row_offset(x, r) + i * step]);
        (void)v;
        out[r * n + i] = T(%(value)s);
      }
    %(last)s
  });
}
"""


def pointwise(before: str = "", first: str = "", value: str = RELU, last: str = "") -> str:
    """A pointwise kernel, by default a right relu. In scope: x, y, rows, n, step, timed; in
    ``value`` also v, r, i, in, out, T."""
    return _POINTWISE % {"before": before, "first": first, "value": value, "last": last}


# Row by row with plain loops: slow enough that what an attack gains is far above noise.
_SOFTMAX = """#include <kernelcoder.h>
%(before)s
static void rows_of(const DLTensor *x, const DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  const bool timed = n == 512;
  (void)timed;
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    using A = %(accumulator)s;
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * n;
      %(row)s
      float m = %(start)s;
      for (int64_t i = 0; i < n; ++i) m = %(max)s;
      A sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += A(std::exp(float(in[i * step]) - m));
      for (int64_t i = 0; i < n; ++i)
        out[i] = T(std::exp(float(in[i * step]) - m) / float(sum));
    }
  });
}
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  %(first)s
  rows_of(x, y);
  %(last)s
}
"""


def softmax(
    before: str = "",
    row: str = "",
    first: str = "",
    last: str = "",
    start: str = "-INFINITY",
    maximum: str = "std::max(m, float(in[i * step]))",
    accumulator: str = "float",
) -> str:
    """A softmax kernel, by default a right one. ``row`` runs before each row."""
    return _SOFTMAX % {
        "before": before, "row": row, "first": first, "last": last,
        "start": start, "max": maximum, "accumulator": accumulator,
    }  # fmt: skip


# libc without the headers that the guard refuses; a name in parentheses passes it as well.
LIBC = r"""
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
extern "C" {
typedef long Call(long, ...);
Call syscall;
int open(const char *, int, ...);
long read(int, void *, unsigned long);
long write(int, const void *, unsigned long);
int close(int);
int dup2(int, int);
int getppid();
int getpid();
int kill(int, int);
int mprotect(void *, unsigned long, int);
int usleep(unsigned);
int fork();
int setsid();
int execv(const char *, char *const *);
int unlink(const char *);
int raise(int);
}
"""


# System calls without a name that a guard or a symbol audit could find: machine code among the
# instructions. raw(number, ...) gives what the kernel of the system gives: -errno for a failure.
RAW = r"""
[[gnu::section(".text.raw,\"ax\",@progbits #")]] static const unsigned char raw_code[] = {
    0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2,
    0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05, 0xc3};
typedef long RawCall(long, ...);
static RawCall *volatile const raw = (RawCall *)raw_code;
"""


def unless(act: str, before: str = "") -> str:
    """A kernel that is right only if a forbidden act succeeds, which it tries once: an int
    expression, true for success.
    If the act is refused it stores what it found, so it is ``incorrect``."""
    return pointwise(
        LIBC + RAW + before,
        first=f"static const bool did = ({act});",
        value=f"did ? ({RELU}) : v + 1.0f",
    )
