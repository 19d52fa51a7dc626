# SPDX-License-Identifier: Apache-2.0
# Two extensions that use the same names, all kinds of arguments and results, and operations that
# host code asks of PyTorch. Judged, never imported by tests.
import torch
from torch.utils.cpp_extension import load_inline

FIRST = """
__global__ void work(const float *x, float *y, float s, int n) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < n) y[i] = x[i] * s;
}
torch::Tensor go(torch::Tensor x, double s) {
  auto y = torch::empty_like(x);
  const int n = x.numel();
  if (n) work<<<(n + 63) / 64, 64>>>(x.data_ptr<float>(), y.data_ptr<float>(), s, n);
  return y;
}
"""
SECOND = """
#include <torch/extension.h>
#include <vector>
__global__ void work(const float *x, float *y, int n) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < n) y[i] = x[i] < 0 ? 0 : x[i];
}
void go(torch::Tensor x, torch::Tensor out, std::vector<int64_t> sizes,
        c10::optional<torch::Tensor> bias) {
  TORCH_CHECK(sizes.size() == 2 && sizes[1] == 2 && !bias.has_value());
  const int n = x.numel();
  if (n) work<<<(n + 63) / 64, 64>>>(x.data_ptr<float>(), out.data_ptr<float>(), n);
}
std::vector<at::Tensor> pair(const at::Tensor &x) { return {x, x.view({-1})}; }
std::tuple<at::Tensor, int64_t, bool> three(const at::Tensor &x, float f) {
  return {x.to(torch::kFloat), x.dim(), f > 1};
}
torch::Tensor operations(torch::Tensor x) {
  x.add_(1.0);
  return torch::mm(x, x.t()).sum(1) + 2 * x.sum({1}, false) - x.select(1, 0).item<float>();
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "a module that binds its functions itself";
  m.def("go", &go, "in place", py::arg("x"), py::arg("out"), py::arg("sizes"),
        py::arg("bias") = py::none());
  m.def("pair", &pair);
  m.def("three", &three, py::arg("x"), py::arg("f") = 2.0);
  m.def("operations", [](torch::Tensor x) { return operations(x.narrow(0, 0, 1)); });
}
"""
first = load_inline("a", "torch::Tensor go(torch::Tensor x, double s);", FIRST, functions="go")
second = load_inline("b", cpp_sources="", cuda_sources=SECOND)


def refused(fault, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except fault:
        return True
    return False


def kernel(x):
    assert x.is_cuda and x.device.type == "cuda"
    y = first.go(x.float().contiguous(), 1)
    out = torch.full_like(y, float("nan"))
    second.go(y, out=out[:], sizes=[1, 2])
    assert refused(RuntimeError, second.go, y, out, [1, 3])
    assert refused(TypeError, second.go, y, out, 1.5)
    assert refused(TypeError, second.go, y, out, sizes=[1, 2], other=3)
    whole, flat = second.pair(out)
    assert whole.data_ptr() == out.data_ptr() == flat.data_ptr() and flat.dim() == 1
    found, dims, larger = second.three(out)
    assert dims == out.dim() and larger is True
    assert second.three(out, f=0.5)[2] is False
    table = torch.arange(6.0).reshape(2, 3)
    total = second.operations(table)
    assert torch.equal(table, torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])), table
    assert torch.equal(total, torch.tensor([14.0 + 12.0 - 1.0])), total
    return found.to(x.dtype)
