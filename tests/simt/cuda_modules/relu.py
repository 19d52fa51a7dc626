# SPDX-License-Identifier: Apache-2.0
# A module with one extension, in the style of published answers; judged, never imported by tests.
import torch
from torch.utils.cpp_extension import load_inline

CUDA = """
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>

template <typename scalar_t>
__global__ void relu_kernel(const scalar_t *__restrict__ x, scalar_t *__restrict__ y, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) {
    const float v = static_cast<float>(x[i]);
    y[i] = static_cast<scalar_t>(v < 0.0f ? 0.0f : v);
  }
}

torch::Tensor relu(torch::Tensor x) {
  TORCH_CHECK(x.is_cuda(), "x must be on a GPU, not ", x.device());
  x = x.contiguous();
  auto y = torch::empty_like(x);
  const int64_t n = x.numel();
  if (n == 0) return y;
  const int threads = 256;
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::ScalarType::Half, at::ScalarType::BFloat16, x.scalar_type(), "relu", ([&] {
        relu_kernel<scalar_t><<<(n + threads - 1) / threads, threads, 0,
                                at::cuda::getCurrentCUDAStream()>>>(
            x.data_ptr<scalar_t>(), y.data_ptr<scalar_t>(), n);
      }));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}
"""

module = load_inline(
    name="relu_extension",
    cpp_sources="torch::Tensor relu(torch::Tensor x);",
    cuda_sources=CUDA,
    functions=["relu"],
    extra_cuda_cflags=["-O3", "--use_fast_math"],
    verbose=False,
)


def kernel(x: torch.Tensor) -> torch.Tensor:
    return module.relu(x)
