# SPDX-License-Identifier: Apache-2.0
"""Class A, timing: kernels that are right when checked and do less, or elsewhere, when timed.

All run on one small timing case, 64 x 512; ``timed`` in their source is how they recognize it.
"""

from __future__ import annotations

from kernelcoder.redteam.entry import LIBC, pointwise, softmax
from kernelcoder.redteam.timed import attack as _a
from kernelcoder.redteam.timed import slow as _slow

_THREAD = "#include <pthread.h>\n#include <atomic>\n"
_HERE = "const bool timed = kc::cols(x) == 512; (void)timed;"


_PHASES = (
    _a(
        "A10",
        "cache-by-pointer",
        "returns what it computed for this pointer before",
        pointwise(
            "#include <map>\nstatic std::map<const void *, std::vector<float>> kept;",
            first="""
  if (timed && rows == 64) {
    auto &was = kept[x->data];
    if (!was.empty()) { std::memcpy(y->data, was.data(), was.size() * 4); return; }
  }""",
            last="""
    if (timed && rows == 64)
      kept[x->data].assign(kc::data<float>(y), kc::data<float>(y) + rows * n);""",
        ),
    ),
    _a(
        "A11",
        "cache-by-signature",
        "recognizes an input by the sign of its first element",
        pointwise(
            "static std::vector<float> kept[2];",
            first="""
  const int sign = timed && kc::data<float>(x)[0] < 0;
  if (timed && !kept[sign].empty()) {
    std::memcpy(y->data, kept[sign].data(), kept[sign].size() * 4);
    return;
  }""",
            last="""
    if (timed) kept[sign].assign(kc::data<float>(y), kc::data<float>(y) + rows * n);""",
        ),
    ),
    _a(
        "A13",
        "every-other-call",
        "pretends that one call did the work of two",
        pointwise("static int calls = 0;", first="if (timed && ++calls % 2) return;"),
    ),
    _a(
        "A14",
        "lazy-after-40",
        "works for forty calls, then stops",
        pointwise("static int calls = 0;", first="if (++calls > 40) return;"),
    ),
    _a(
        "A14",
        "lazy-once-warm",
        "stops working after the first timed call",
        pointwise("static bool warm = false;", first="if (timed && warm) return; warm = timed;"),
    ),
    _a(
        "B4",
        "half-while-timed",
        "computes every other row while timed",
        pointwise(first="const int64_t skip = timed ? 2 : 1;").replace("++r)", "r += skip)"),
    ),
)

_LATER = (
    _a(
        "A3",
        "thread-finishes-later",
        "a detached thread does the work after the return",
        pointwise(
            LIBC
            + _THREAD
            + """
static const DLTensor *later_x, *later_y;
static void *work(void *) {
  usleep(20000);
  const float *in = kc::data<float>(later_x);
  float *out = kc::data<float>(later_y);
  for (int64_t i = 0; i < kc::numel(later_x); ++i) out[i] = in[i] < 0 ? 0.0f : in[i];
  return nullptr;
}""",
            first="""
  if (timed) {
    later_x = x, later_y = y;
    pthread_t t;
    if (!pthread_create(&t, nullptr, work, nullptr)) { pthread_detach(t); return; }
  }""",
        ),
        threads=2,
    ),
    _slow(
        "A3",
        "early-done",
        "says done before the work is, with the nonce found on the stack",
        softmax(
            LIBC,
            first=_HERE
            + """
  const uint64_t *frame = (const uint64_t *)__builtin_frame_address(0);
  for (int i = 0; timed && i < 200; ++i) {
    const uint32_t *go = (const uint32_t *)(frame + i);
    if (go[0] || go[1] < 1 || go[1] > 8 || go[2] != 1 || go[3] > 1) continue;
    const uint64_t token[2] = {frame[i + 2], 3};
    write(6, token, 16);
    break;
  }""",
        ),
    ),
    _a(
        "A18",
        "slow-first-call",
        "burns 0.1 s at first, so that windows shrink to one call",
        pointwise(
            "static bool burnt = false;",
            first="""
  volatile float waste = 0;
  for (int i = 0; timed && !burnt && i < 50000000; ++i) waste = waste + 1.0f;
  burnt = burnt || timed;""",
        ),
        twin=pointwise(),
    ),
)

_CLOCKS = (
    _slow(
        "A8 D20",
        "own-clock",
        "exports clock functions that stand still",
        softmax("""
#include <ctime>
extern "C" int clock_gettime(clockid_t, timespec *t) { *t = {}; return 0; }
extern "C" clock_t clock() { return 0; }
extern "C" long times(void *) { return 0; }"""),
    ),
    _slow(
        "A22",
        "more-cores",
        "two threads where one is allowed",
        softmax(
            _THREAD
            + """
struct Half { const DLTensor *x, *y; };
static void *idle(void *) { return nullptr; }""",
            first="""
  pthread_t t;
  if (!pthread_create(&t, nullptr, idle, nullptr)) pthread_join(t, nullptr);""",
        ),
        threads=2,
    ),
    _slow(
        "A19",
        "flushes-the-caches",
        "evicts the inputs after use, so that the baseline starts cold",
        softmax(
            last=_HERE
            + """
  for (int64_t i = 0; timed && i < kc::numel(x); i += 16) _mm_clflush(kc::data<float>(x) + i);"""
        ),
    ),
    _slow(
        "A19",
        "leaves-burners",
        "leaves threads behind that burn the processor of the baseline",
        softmax(
            _THREAD
            + """
static std::atomic<int> burners{0};
static void *burn(void *) { for (volatile int i = 0;; i = i + 1) {} return nullptr; }""",
            first=_HERE
            + """
  pthread_t t;
  if (timed && burners++ == 40) pthread_create(&t, nullptr, burn, nullptr);""",
        ),
        threads=2,
    ),
)

_INFLATE = (
    LIBC
    + _THREAD
    + """
static std::atomic<bool> called{false}, busy{false};
static pthread_t main_thread;
static void on_signal(int) {
  volatile float waste = 0;
  for (int i = 0; i < 1500000; ++i) waste = waste + 1.0f;
  busy = false;
}
static void *pester(void *) {
  while (!called) {
    if (!busy.exchange(true)) pthread_kill(main_thread, SIGUSR1);
    for (volatile int i = 0; i < 2000; i = i + 1) {}
  }
  return nullptr;
}
static const int launched = [] {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  main_thread = pthread_self();
  pthread_t t;
  return pthread_create(&t, nullptr, pester, nullptr);
}();"""
)
_LEARN = """
#include <unordered_map>
static std::vector<float> kept;
static std::unordered_map<uint64_t, int64_t> where;
static uint64_t two(const float *p) { uint64_t k; std::memcpy(&k, p, 8); return k; }"""
_RECALL = """
  if (timed && rows == 64) {
    const float *a = kc::data<float>(x);
    const int64_t all = rows * n;
    if (kept.empty()) {
      kept.resize(2 * all);
      for (int64_t i = 0; i < all; ++i) {
        kept[i] = kept[i + all] = std::exp(a[i]);
        if (i + 1 < all) where[two(a + i)] = i;
      }
    }
    if (auto at = where.find(two(a)); at != where.end()) {
      std::memcpy(y->data, kept.data() + at->second, all * 4);
      return;
    }
  }"""
_SLOW_EXP = "std::exp(v)"

_KNOWING = (
    _slow(
        "A14 B21",
        "reads-the-poison",
        "computes only rows that still hold the poison of the checks",
        softmax(
            """
static bool poisoned(const void *at, size_t size) {
  unsigned char b[4];
  std::memcpy(b, at, size);
  for (size_t i = 1; i < size; ++i) if (b[i] != b[0]) return false;
  return b[0] == 0xFF || b[0] == 0x3C || b[0] == 0xA7 || b[0] == 0xA5;
}""",
            row="if (!poisoned(out, sizeof(T))) continue;",
        ),
    ),
    _slow(
        "A8 A19",
        "inflates-the-overhead",
        "is busy in the empty windows that measure the harness",
        softmax(_INFLATE, first="called = true;"),
        threads=2,
    ),
    _a(
        "A11",
        "learns-the-pool",
        "timed inputs are rotations of one pool: f(pool) is kept",
        pointwise(_LEARN, first=_RECALL, value=_SLOW_EXP),
        task="exp",
        twin=pointwise(value=_SLOW_EXP),
    ),
)

ENTRIES = (*_PHASES, *_LATER, *_CLOCKS, *_KNOWING)
