# SPDX-License-Identifier: Apache-2.0
"""Class A, timing, by taking over: the kernel keeps control and speaks the harness's protocol, so
that it can compute after it sees the inputs and before the judge reads the clock."""

from __future__ import annotations

from benchmarks import core
from kernelcoder.redteam.entry import LIBC, softmax
from kernelcoder.redteam.timed import attack, slow

# work: the kernel to serve; early: whether window w does its work before the clock is read.
_SERVE = """
struct Go { uint32_t first, count, reps, flags; uint64_t nonce; };
static void work(const DLTensor *x, const DLTensor *y);
static void each(const DLTensor *x, const Go &go) {
  for (uint32_t c = go.first; c < go.first + go.count; ++c) work(x + 8 * c, x + 8 * c + 1);
}
[[noreturn]] static void serve(const DLTensor *x, uint64_t nonce) {
  uint64_t token[2] = {nonce, 3}, start;
  for (int w = 0;; ++w) {
    write(6, token, 16);
    Go go;
    if (read(5, &go, sizeof go) != sizeof go) std::abort();
    const bool early = %(early)s;
    if (early) each(x, go);
    token[0] = go.nonce, token[1] = 2;
    write(6, token, 16);
    if (read(5, &start, 8) != 8) std::abort();
    if (!early) each(x, go);
    volatile float waste = 0;  // a time below the roof would be noticed
    for (int i = 0; early && i < %(waste)d; ++i) waste = waste + 1.0f;
    token[1] = 3;
  }
}
// Looks on the stack for the order to run one call, which carries the nonce of this window.
static void take_over(const DLTensor *x, const DLTensor *y) {
  if (kc::cols(x) != 512 || kc::rows(x) != 64) return;
  work(x, y);
  const uint64_t *frame = (const uint64_t *)__builtin_frame_address(0);
  for (int i = 0; i < 400; ++i) {
    const uint32_t *go = (const uint32_t *)(frame + i);
    if (go[0] == 0 && go[1] == 1 && go[2] == 1 && go[3] <= 1) serve(x, frame[i + 2]);
  }
}
"""
_WORK = """
static void rows_of(const DLTensor *, const DLTensor *);
static void work(const DLTensor *x, const DLTensor *y) { rows_of(x, y); }
"""
_TAKE = "take_over(x, y);"
# Four warm-up windows, then just over half of the timed ones, wherever the timing stops.
_MOST = "w == 4 || (w > 4 && w % 2)"
_GELU = core.load("gelu").solutions["cpu"]


def _serving(early: str, waste: int) -> str:
    return LIBC + _SERVE % {"early": early, "waste": waste} + _WORK


def _gelu_taken_over() -> str:
    """The task's own fast kernel, served by the same means."""
    renamed = _GELU.replace("void kernel(", "void fine(")
    taken = LIBC + _SERVE % {"early": "true", "waste": 12000}
    return f"""{renamed}
{taken}
static void work(const DLTensor *x, const DLTensor *y) {{
  fine(const_cast<DLTensor *>(x), const_cast<DLTensor *>(y));
}}
extern "C" void kernel(const DLTensor *x, DLTensor *y) {{
  take_over(x, y);
  work(x, y);
}}
"""


ENTRIES = (
    slow(
        "A20 D10 D11",
        "works-before-the-clock",
        "computes between go and ready in every window",
        softmax(_serving("true", 12000), first=_TAKE),
    ),
    slow(
        "A24",
        "works-before-the-clock-too-fast",
        "the same, without care for the roof",
        softmax(_serving("true", 0), first=_TAKE),
    ),
    slow(
        "A20 A14",
        "works-before-the-clock-mostly",
        "the same in just over half of the rounds that count, and in none of the warm-up",
        softmax(_serving(_MOST, 12000), first=_TAKE),
    ),
    attack(
        "A20",
        "works-before-the-clock-a-little",
        "the same with a kernel so quick that its work hides in the allowance before go",
        _gelu_taken_over(),
        task="gelu",
        twin=_GELU,
    ),
    slow(
        "A8 D20",
        "own-protocol",
        "exports functions of the names the harness uses",
        softmax(
            'extern "C" { long touch() { return 0; } long say() { return 0; }'
            " long call_one() { return 0; } }"
        ),
    ),
)
