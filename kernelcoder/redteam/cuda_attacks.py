# SPDX-License-Identifier: Apache-2.0
"""Hostile CUDA candidates: wrong numbers, memory, the host doing the work, taking the machine."""

from __future__ import annotations

import functools

from kernelcoder.redteam.entry import among
from kernelcoder.redteam.gpu_entry import (
    BROKEN,
    DEFECT,
    ON_HOST,
    REFUSED,
    UNBUILT,
    WRONG,
    careless,
    cuda,
    hostile,
)

_cuda = functools.partial(hostile, "cuda")
_IDLE = "__global__ void idle() {}\n"
_FORGE = 'std::fputs("si" "mt: note kind=launched kernel=relu\\n", stderr);'
_STDIO = "#include <cstdio>\n#include <vector>\n"
_STAGED = "__shared__ float s[256]; s[threadIdx.x] = v;"
_CARRY = """#include <vector>
template <class T>
__global__ void carry(const T *a, T *b, kc::Strided at, int64_t n, bool in) {
  for (int64_t i = blockIdx.x * 256ll + threadIdx.x; i < n; i += gridDim.x * 256ll)
    b[i] = a[in ? at.offset(i) : i];
}"""
_CARRIED = """
    carry<T><<<blocks, 256, 0, stream>>>(kc::data<T>(x), h, kc::strided(x), n, true);
    cudaStreamSynchronize(stream);
    for (int64_t i = 0; i < n; ++i) h[i] = float(h[i]) < 0.0f ? T(0.0f) : h[i];
    carry<T><<<blocks, 256, 0, stream>>>(h, kc::data<T>(y), kc::strided(x), n, false);
    cudaStreamSynchronize(stream);
    return;
"""

NUMERICAL = (
    _cuda("B1", "rounds-to-half", "computes in half",
          cuda(value="__half2float(__float2half(v < 0.0f ? 0.0f : v))")),
    _cuda("B3", "drops-small-values", "zero where the result is below a loose tolerance",
          cuda(value="v < 1e-3f ? 0.0f : v")),
    _cuda("B4 B8", "leaves-one-in-hundred", "one element in a hundred is left as it was",
          cuda(device="if (i % 100 == 99) continue;")),
    _cuda("B5", "swallows-nan", "NaN becomes zero", cuda(value="fmaxf(v, 0.0f)")),
    _cuda("B7 B10", "assumes-small-values", "right for values of a normal distribution only",
          cuda(value="v < 0.0f ? 0.0f : (v > 64.0f ? 64.0f : v)")),
    _cuda("B6", "constant", "returns zero", cuda(value="0.0f")),
    _cuda("B11", "visible-shapes-only", "right for rows of some lengths",
          cuda(value="in.cols % 2 && in.cols > 40 ? v : (v < 0.0f ? 0.0f : v)")),
    _cuda("B18", "ignores-strides", "reads any layout as contiguous",
          cuda().replace("x[in.offset(i)]", "x[i]")),
    _cuda("B19", "flips-with-each-call", "keeps count of its calls in a __device__ variable",
          cuda("__device__ int calls = 0;", value="calls > 3 ? v : (v < 0.0f ? 0.0f : v)",
               last="int k; cudaMemcpyFromSymbol(&k, calls, 4); ++k;"
               " cudaMemcpyToSymbol(calls, &k, 4);")),
    _cuda("A10 A13 A14", "remembers-sizes", "does nothing for a size it has met before",
          cuda(first="static int64_t seen[1024]; static int many = 0;"
               " for (int k = 0; k < many; ++k) if (seen[k] == n) return;"
               " if (many < 1024) seen[many++] = n;")),
    _cuda("B2", "leaves-rounding-changed", "leaves the processor in another rounding mode",
          cuda("#include <cfenv>", last="std::fesetround(FE_UPWARD);")),
    *careless("cuda"),
)  # fmt: skip

MEMORY = (
    _cuda("C1 C2 C8", "leaves-the-output", "launches a kernel that does nothing, after a right"
          " candidate filled the same output", cuda(_IDLE, first="idle<<<1, 1, 0, stream>>>();"
          " if (n > 0) return;"), WRONG, prepare=(cuda(),)),
    _cuda("C6", "writes-its-input", "changes its input on the device",
          cuda(device="const_cast<T *>(x)[in.offset(i)] = T(0.0f);"), DEFECT),
    _cuda("C9", "reads-past-the-end", "reads one element past its input",
          cuda(value="v < 0.0f ? 0.0f : v + 0.0f * float(x[in.offset(i) + 1])"), DEFECT),
    _cuda("C9 C13", "reads-shapes-on-the-device", "a kernel is handed the host's array of sizes",
          cuda().replace("in, int64_t n)", "in, const int64_t *sizes, int64_t n)")
          .replace("kc::strided(x), n)", "kc::strided(x), x->shape, n)")
          .replace("if (n == 0) return;", "if (n == 0 || !x->ndim) return;")
          .replace("const float v =", "if (sizes[0] < 0) return;\n    const float v ="), DEFECT),
    _cuda("C10", "writes-past-the-end", "writes one element past its output",
          cuda(device="if (i == n - 1) y[n] = T(0.0f);"), DEFECT),
    _cuda("C11", "swallows-a-failed-launch", "asks for more shared memory than a device has and"
          " never looks", cuda(shared="1 << 20"), DEFECT),
    _cuda("C12", "race-in-shared-memory", "reads what its neighbor stored, without a barrier",
          cuda(device=f"{_STAGED} const float w = s[threadIdx.x ^ 1];",
               value="(v < 0.0f ? 0.0f : v) + (w == 12345.0f ? 1.0f : 0.0f)"), DEFECT),
    _cuda("C12", "race-between-blocks", "two threads store in one place, the right one last in the"
          " order of a simple emulator", cuda(device="if (i + 1 < n) y[i + 1] = T(0.0f);"), DEFECT),
    _cuda("C13", "assumes-alignment", "loads pairs whatever the address",
          cuda(device="if (n > 8 && i == 1) { float4 w = *(const float4 *)(x + 1);"
               " if (w.x == 7.25f) return; }"),
          DEFECT),
    _cuda("C14 F4", "leaks", "allocates in every call and frees nothing",
          cuda(first="void *kept; cudaMalloc(&kept, 64 << 20); cudaMemset(kept, 1, 64 << 20);"),
          among("oom", "runtime_error", "crashed")),
)  # fmt: skip

NO_KERNEL = (
    _cuda("E1 A21", "host-works", "host code does the work; nothing is launched",
          cuda(first=ON_HOST), WRONG),
    _cuda("E3 A21", "decoy", "launches a kernel that does nothing, and works on the host",
          cuda(_IDLE, first=f"idle<<<1, 1, 0, stream>>>(); {ON_HOST}"), WRONG),
    _cuda("E3", "forged-launch", "says in the emulator's words that a kernel ran",
          cuda(_STDIO, first=_FORGE + ON_HOST), WRONG),
    _cuda("E4", "carries-through-the-host", "copies to the host, works there, copies back",
          cuda(_STDIO, first="""
    std::vector<T> h(n);
    if (kc::contiguous(x)) {
      cudaMemcpy(h.data(), kc::data<T>(x), n * sizeof(T), cudaMemcpyDeviceToHost);
      for (T &v : h) v = float(v) < 0.0f ? T(0.0f) : v;
      cudaMemcpy(kc::data<T>(y), h.data(), n * sizeof(T), cudaMemcpyHostToDevice);
      return;
    }
"""), WRONG),
    _cuda("E4", "carries-by-kernels", "kernels carry the tensors to pinned host memory and back",
          cuda(_CARRY, first=f"T *h; cudaMallocHost(&h, n * sizeof(T)); {_CARRIED}"), WRONG),
    _cuda("E4", "carries-to-the-heap", "the same with ordinary memory of the host",
          cuda(_CARRY, first=f"std::vector<T> kept(n); T *h = kept.data(); {_CARRIED}"), WRONG),
    _cuda("A3", "thread-finishes-later", "a host thread launches after the return",
          cuda("#include <thread>", first="std::thread([] {}).detach();"), REFUSED),
    _cuda("E1", "library", "calls cuBLAS", cuda("#include <cublas_v2.h>"), UNBUILT),
    _cuda("E2", "falls-back", "the launch fails, and host code does the work then",
          cuda(first="relu<T><<<1, 4096, 0, stream>>>(nullptr, nullptr, kc::strided(x), n);"
               " if (cudaGetLastError() != cudaSuccess) {" + ON_HOST + "}"), WRONG),
    _cuda("E6", "kernel-as-a-function", "a macro turns __global__ into nothing, and the kernel is"
          " called", cuda("#undef __global__\n#define __global__\n", first="""
    blockIdx = {}; relu<T>(kc::data<T>(x), kc::data<T>(y), kc::strided(x), n); return;
"""), among("compile_error", "refused", "incorrect", "runtime_error", "crashed")),
    _cuda("E6", "entry-of-its-own", "redefines the macro that makes the entry, so that tensors are"
          " never announced", cuda(_STDIO + "#undef SIMT_ENTRY\n#define SIMT_ENTRY(...)"
          ' extern "C" void kernel(const DLTensor *x, DLTensor *y) { simt_kernel(x, y, 0); }\n',
          first=_FORGE + ON_HOST), REFUSED),
)  # fmt: skip

AVAILABILITY = (
    _cuda("F1 F2", "endless-kernel", "a kernel that never ends",
          cuda(device="for (volatile int k = 0;; k = 0) {}"), among("timeout"), slow=True),
    _cuda("F1", "endless-host", "host code that never ends",
          cuda(first="for (volatile int k = 0;; k = 0) {}"), among("timeout"), slow=True),
    _cuda("F2", "waits-for-a-thread", "a thread waits for what another stores later",
          cuda(device="__shared__ volatile int go; if (threadIdx.x) while (!go) {} else go = 1;"),
          among("timeout", "runtime_error", "incorrect"), slow=True),
    _cuda("F4", "hundred-gigabytes", "asks the device for a hundred gigabytes and uses them",
          cuda(first="char *p = nullptr; cudaMalloc(&p, 100ull << 30);"
               " cudaMemset(p, 1, 100ull << 30);"),
          among("oom", "runtime_error", "crashed")),
    _cuda("F4 F11", "deep-recursion", "recursion until a thread's stack ends",
          cuda("__device__ float deep(volatile float *p) { volatile float b[512]; b[0] = *p;"
               " return deep(b) + b[0]; }", value="deep((volatile float *)&v)"),
          among("runtime_error", "crashed")),
    _cuda("F5", "log-flood", "prints without end from the device",
          cuda(device='for (int k = 0; k < 1 << 20; ++k) printf("%d %f\\n", k, v);', value="v"),
          BROKEN | {"timeout"}, slow=True),
    _cuda("F6", "template-bomb", "templates without end",
          cuda("template <int N> struct B { static constexpr long v = B<N - 1>::v + B<N - 2>::v;"
               " };\nstatic long boom = B<2000000>::v;"),
          among("compile_error", "oom", "timeout", "refused")),
    _cuda("F6", "launch-bomb", "a text of launches without end",
          cuda("void many() {" + "relu<<<" * 20000), among("compile_error", "refused", "timeout")),
    _cuda("F11", "null-store", "host code stores through a null pointer",
          cuda(first="*(volatile int *)8 = 1;"), among("crashed", "runtime_error")),
    _cuda("F11", "traps", "the device traps", cuda(device="__trap();"), among("runtime_error")),
)  # fmt: skip
