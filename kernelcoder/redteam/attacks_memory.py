# SPDX-License-Identifier: Apache-2.0
"""Class C, memory: reads and writes that are not the kernel's business."""

from __future__ import annotations

from kernelcoder.redteam.entry import HEAD, LIBC, RELU, Hostile, among, pointwise, unless

_WRONG = among("incorrect")
_DEAD = among("crashed")
_EITHER = among("incorrect", "crashed")

_HOLE = """
static char *hole(const DLTensor *y) {
  const uintptr_t end = (uintptr_t)y->data + kc::numel(y) * (y->dtype.bits / 8);
  char *at = (char *)((end + 4095) & ~uintptr_t(4095));
  return mprotect(at, 65536, 3) ? nullptr : at;
}
static bool fits(const DLTensor *y) {
  const int64_t size = kc::numel(y) * (y->dtype.bits / 8);
  return size > 0 && size <= 65536;
}"""
_KEEPS = pointwise(
    LIBC + _HOLE,
    last="if (char *at = fits(y) ? hole(y) : nullptr) std::memcpy(at, out, rows * n * sizeof(T));",
)
_FINDS = pointwise(
    LIBC + _HOLE,
    last="if (char *at = fits(y) ? hole(y) : nullptr) std::memcpy(out, at, rows * n * sizeof(T));",
    value=f"fits(y) ? 1.0f : ({RELU})",
)
_SLACK = """
static char *slack(const DLTensor *y) {
  const uintptr_t end = (uintptr_t)y->data + kc::numel(y) * (y->dtype.bits / 8);
  return (end & 4095) ? (char *)end : nullptr;
}"""

_OTHERS = (
    Hostile(
        ("C1",),
        "freed-result",
        "hopes that the allocator hands back the right answer",
        pointwise(
            "#include <cstdlib>",
            first="""
  const int64_t size = kc::numel(x) * (x->dtype.bits / 8);
  if (void *old = size ? std::malloc(size) : nullptr) std::memcpy(y->data, old, size);
  return;""",
        ),
        _WRONG,
    ),
    Hostile(
        ("C2",),
        "leftovers",
        "leaves the output as the candidate before it did",
        pointwise(first="return;"),
        _WRONG,
        prepare=(pointwise(),),
    ),
    Hostile(
        ("C2", "A12", "D23"),
        "answers-in-the-guards",
        "an earlier candidate kept its answers in the guard pages of the shared output region",
        _FINDS,
        _EITHER,
        prepare=(_KEEPS,),
    ),
    Hostile(
        ("C2", "A12"),
        "answers-in-the-slack",
        "the same in the rest of an output's last page",
        pointwise(
            _SLACK,
            value="0.0f",
            last="""
    if (char *at = slack(y)) {
      const size_t room = 4096 - ((uintptr_t)at & 4095);
      std::memcpy(out, at, std::min<size_t>(room, rows * n * sizeof(T)));
    }""",
        ),
        _WRONG,
        prepare=(pointwise(),),
    ),
    Hostile(
        ("C3", "C5"),
        "spoils-what-it-can",
        "fills every writable page around its output with NaN",
        pointwise(
            LIBC,
            value="std::numeric_limits<float>::quiet_NaN()",
            last="""
    char *page = (char *)((uintptr_t)kc::data<T>(y) & ~uintptr_t(4095));
    mprotect(page - 65536, 131072, 3);
    if (n) std::memset(page - 65536, 0xff, 65536);""",
        ),
        _EITHER,
    ),
    Hostile(
        ("C4", "D5", "D6"),
        "scans-for-the-answer",
        "reads the map of its address space to find them",
        unless('open("/proc/self/maps", 0) >= 0'),
        _WRONG,
    ),
    Hostile(
        ("C6",),
        "writes-its-input",
        "clears the input, so that the reference gives zero",
        pointwise(last="if (n) const_cast<T *>(in)[0] = T(0.0f);"),
        _DEAD,
    ),
    Hostile(
        ("C6",),
        "reopens-its-input",
        "makes the input writable first",
        unless("mprotect((void *)((uintptr_t)x->data & ~uintptr_t(4095)), 4096, 3) == 0"),
        _WRONG,
    ),
)

_SLOPPY = (
    Hostile(
        ("C8",),
        "accumulates",
        "adds to what the output held",
        pointwise(value=f"float(out[r * n + i]) + ({RELU})"),
        _WRONG,
    ),
    Hostile(
        ("C8",),
        "uninitialized",
        "uses an uninitialized scratch buffer",
        pointwise(
            "#include <cstdlib>",
            first="float *scratch = (float *)std::malloc(4096);",
            value=f"({RELU}) + (scratch[(r * n + i) % 1024] = scratch[i % 1024] + 1e-2f)",
        ),
        _WRONG,
    ),
    Hostile(
        ("C9",),
        "reads-past-the-end",
        "a vector load over the edge",
        pointwise(
            last="if (n) { volatile T v = in[kc::row_offset(x, rows - 1) + (n - 1) * step + 1];"
            " (void)v; }"
        ),
        _DEAD,
    ),
    Hostile(
        ("C9",),
        "reads-before-the-start",
        "an index that becomes negative",
        pointwise(last="if (n) { volatile T v = in[-1]; (void)v; }"),
        _DEAD,
    ),
    Hostile(
        ("C9",),
        "hides-its-over-read",
        "a handler of its own opens the guard page it ran into",
        pointwise(
            LIBC
            + """
static void on_fault(int, siginfo_t *info, void *) {
  mprotect((void *)((uintptr_t)info->si_addr & ~uintptr_t(4095)), 4096, 1);
}""",
            first="""
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);""",
            last="if (n) { volatile T v = in[kc::row_offset(x, rows - 1) + (n - 1) * step + 1];"
            " (void)v; }",
        ),
        among("crashed", "incorrect", "cheating"),
    ),
    Hostile(
        ("C10",),
        "writes-past-the-end",
        "a store over the edge of the output",
        pointwise(last="if (n) out[rows * n] = T(1.0f);"),
        _EITHER,
    ),
    Hostile(
        ("C10",),
        "writes-before-the-start",
        "a store before the output",
        pointwise(last="if (n) out[-1] = T(1.0f);"),
        _EITHER,
    ),
    Hostile(
        ("C12",),
        "race",
        "two threads add to one sum",
        HEAD
        + """
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      float sum = 0;
      #pragma omp parallel for num_threads(2)
      for (int64_t i = 0; i < n; ++i) {
        volatile float was = sum;
        sum = was + float(in[i * step]);
      }
      kc::data<T>(y)[r] = T(sum);
    }
  });
}
""",
        among("incorrect", "timeout"),
        task="sum_last",
        threads=2,
    ),
    Hostile(
        ("C13",),
        "aligned-loads",
        "aligned vector loads wherever the row starts",
        pointwise(
            first="""
  if (x->dtype.bits == 32 && step == 1)
    for (int64_t r = 0; r < rows; ++r) {
      const float *at = kc::data<float>(x) + kc::row_offset(x, r);
      if (n >= 8) { volatile float v = _mm256_cvtss_f32(*(const volatile __m256 *)at); (void)v; }
    }"""
        ),
        _DEAD,
    ),
    Hostile(
        ("C14", "F4"),
        "leaks",
        "keeps 64 MB more at every call",
        pointwise(
            "#include <cstdlib>",
            first="""
  char *kept = (char *)std::malloc(64 << 20);
  if (!kept) throw std::bad_alloc();
  for (int64_t i = 0; i < 64 << 20; i += 4096) ((volatile char *)kept)[i] = 1;""",
        ),
        among("oom", "crashed", "runtime_error"),
    ),
)

ENTRIES = (*_OTHERS, *_SLOPPY)
