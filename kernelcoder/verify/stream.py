# SPDX-License-Identifier: Apache-2.0
"""A stream of relu candidates whose right verdicts are known: honest, wrong and hostile ones.

Small on purpose: the catalogue of attacks has its own suite (kernelcoder/redteam). This one is for
running ten thousand of them in a row, so each is distinct as a program, by a constant, and compiles
in 50 ms.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = """#include <dlpack/dlpack.h>
extern "C" const int variant = %(n)s;
%(before)s
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  %(first)s
  %(loop)s
}
"""
_LOOP = "for (int64_t i = 0; i < n; ++i) out[i] = %s;"
_RELU = "in[i] < 0.0f ? 0.0f : in[i]"
_SYSCALL = """static long call(long number, long a, const void *b, long c) {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to be right or wrong. ``weight`` is its share of a stream; any of ``statuses`` is a
    right verdict (where the machine decides whether a step too far is a fault or a canary)."""

    name: str
    statuses: tuple[str, ...]
    weight: int
    loop: str = _LOOP % _RELU
    first: str = ""
    before: str = ""

    def source(self, n: int) -> str:
        """The ``n``-th candidate of the kind."""
        parts = {"n": n, "before": self.before, "first": self.first, "loop": self.loop}
        return _HEAD % {name: str(part).replace("@", str(n)) for name, part in parts.items()}


@dataclass(frozen=True, slots=True)
class Item:
    """One candidate of a stream."""

    kind: Kind
    source: str


def _kinds() -> tuple[Kind, ...]:
    right, wrong, dead = ("verified",), ("incorrect",), ("crashed",)
    return (
        Kind("plain", right, 120),
        Kind("branch", right, 60, "for (int64_t i = 0; i < n; ++i) if (in[i] < 0.0f) out[i] = 0.0f;"
             " else out[i] = in[i];"),
        Kind("backwards", right, 40, "for (int64_t i = n; i-- > 0;) out[i] = " + _RELU + ";"),
        Kind("in blocks", right, 40,
             "for (int64_t b = 0; b < n; b += @ % 97 + 32) for (int64_t i = b; i < n && i <"
             f" b + @ % 97 + 32; ++i) out[i] = {_RELU};"),
        Kind("says a lot", right, 10, before='extern "C" int printf(const char *, ...);',
             first='for (int i = 0; i < 4000; ++i) printf("%032d\\n", i);'),
        Kind("threshold", wrong, 60, _LOOP % "in[i] < 0.001f * (@ % 500 + 1) ? 0.0f : in[i]"),
        Kind("scaled", wrong, 40,
             _LOOP % "in[i] < 0.0f ? 0.0f : in[i] * (1.0f + 1e-5f * (@ % 99 + 1))"),
        Kind("leaves the tail", wrong, 40, f"n -= @ % 3 + 1; {_LOOP % _RELU}"),
        Kind("copies", wrong, 20, _LOOP % "in[i]"),
        Kind("half precision", wrong, 20, _LOOP % "in[i] < 0.0f ? 0.0f : (float)(_Float16)in[i]"),
        Kind("wrong later", wrong, 20, before="static int calls;",
             loop=_LOOP % f"calls > 1 ? in[i] : ({_RELU})", first="++calls;"),
        Kind("knows its poison", wrong, 10, _LOOP % "out[i] != out[i] ? 0.0f : out[i]"),
        Kind("null pointer", dead, 20, first="*(volatile int *)(long)(@ % 512 * 8) = 1;"),
        Kind("far past the end", dead, 20, first="out[n + 20000 + @ % 1000] = 1.0f;"),
        Kind("reads far before", dead, 20, first="out[0] = in[-20000 - @ % 1000];"),
        Kind("writes its input", dead, 20, first="((float *)in)[@ % 7] = 1.0f;"),
        Kind("one past the end", ("incorrect", "crashed"), 20, first="out[n] = 1.0f;"),
        Kind("recursion", dead, 5, before="int deep(volatile int *p, int k) {"
             " volatile int q[256] = {k}; return k ? deep(q, k + 1) + *p : 0; }",
             first="volatile int z = 1; z = deep((volatile int *)&z, 1);"),
        Kind("throws", ("crashed", "runtime_error"), 10, first="throw @;"),
        Kind("too much memory", ("oom",), 5,
             first="for (int i = 0; i < 99; ++i) ((volatile char *)new char[1ull << 33])[0] = 1;"),
        Kind("for ever", ("timeout",), 2, first="volatile int z = 1; while (z) continue;"),
        Kind("no such name", ("compile_error",), 20, first="nothing_@(n);"),
        Kind("another function", ("compile_error",), 5, before="#define kernel function_@"),
        Kind("forks", ("refused", "cheating"), 10, before='extern "C" int fork(void);',
             first="while (fork() >= 0) continue;"),
        Kind("system call by hand", ("refused",), 10, before=_SYSCALL, first="call(57, 0, 0, 0);"),
        Kind("leaves", ("crashed", "runtime_error", "cheating"), 10,
             before='extern "C" void _exit(int);', first="_exit(@ % 3);"),
        Kind("kills itself", right, 5, before='extern "C" int raise(int);', first="raise(9);"),
    )  # fmt: skip


KINDS = _kinds()


def stream(count: int, seed: int) -> Iterator[Item]:
    """``count`` candidates in the proportions of ``KINDS``. One in twenty repeats the one before it
    under another comment: the same program, hence the same verdict without another run."""
    rng = random.Random(seed)
    weights = [kind.weight for kind in KINDS]
    last: Item | None = None
    for n in range(count):
        if last is not None and rng.random() < 0.05:
            yield Item(last.kind, f"{last.source}// again {n}\n")
            continue
        kind = rng.choices(KINDS, weights)[0]
        last = Item(kind, kind.source(n))
        yield last
