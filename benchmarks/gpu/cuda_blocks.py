# SPDX-License-Identifier: Apache-2.0
"""What CUDA kernels with one block per row share: reductions over a block, and the launch."""

from __future__ import annotations

INCLUDE = "#include <kernelcoder_cuda.h>\n"
SUM = """
// Sum over the block; every thread gets it. The first barrier is for who still reads `part`.
__device__ inline float block_sum(float v) {
  __shared__ float part[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
  if (blockDim.x == 32) return v;
  __syncthreads();
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < blockDim.x / 32 ? part[lane] : 0.0f;
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
  return v;
}
"""
MAX = """
__device__ inline float larger(float a, float b) { return isnan(a) || a > b ? a : b; }

// Maximum over the block, NaN if there is one; every thread gets it.
__device__ inline float block_max(float v) {
  __shared__ float part[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int by = 16; by > 0; by /= 2) v = larger(v, __shfl_xor_sync(0xffffffffu, v, by));
  if (blockDim.x == 32) return v;
  __syncthreads();
  if (lane == 0) part[warp] = v;
  __syncthreads();
  v = lane < blockDim.x / 32 ? part[lane] : -INFINITY;
  for (int by = 16; by > 0; by /= 2) v = larger(v, __shfl_xor_sync(0xffffffffu, v, by));
  return v;
}
"""
# A block is one warp for a short row: no barrier then.
ENTRY = """
extern "C" void kernel(@TENSORS@, DLTensor *y@SCALARS@, cudaStream_t stream) {
  const kc::Strided in = kc::strided(x);
  if (kc::numel(y) == 0) return;
  const int threads = in.cols <= 512 ? 32 : 256;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    @NAME@<T><<<in.rows, threads, 0, stream>>>(
        @ARGUMENTS@);
  });
}
"""
# Edits of the reductions that are mistakes, whatever the kernel does with them.
MISTAKES: dict[str, tuple[tuple[str, str], ...]] = {
    "no_barrier_after_the_store": (("part[warp] = v;\n  __syncthreads();", "part[warp] = v;"),),
    "half_of_the_lanes": (("int by = 16", "int by = 8"),),
    "one_warp_of_the_block": (
        ("v = lane < blockDim.x / 32 ? part[lane]", "v = lane < 1 ? part[lane]"),
    ),
}


def entry(name: str, vectors: tuple[str, ...] = (), scalars: tuple[str, ...] = ()) -> str:
    """The host function that launches ``name`` with one block per row of ``x``."""
    tensors = ", ".join(f"const DLTensor *{one}" for one in ("x", *vectors))
    pointers = ", ".join(f"kc::data<T>({one})" for one in ("x", *vectors, "y"))
    layouts = ", ".join(("in", *(f"{one}->strides[0]" for one in vectors)))
    rest = ", ".join((layouts, *(f"float({one})" for one in scalars)))
    given = f"{pointers},{chr(10) + 8 * ' ' if vectors else ' '}{rest}"
    marks = {
        "TENSORS": tensors,
        "SCALARS": "".join(f",\n                       double {one}" for one in scalars),
        "NAME": name,
        "ARGUMENTS": given,
    }
    text = ENTRY
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return text
