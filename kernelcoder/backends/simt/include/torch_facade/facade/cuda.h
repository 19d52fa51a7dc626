// SPDX-License-Identifier: Apache-2.0
// PyTorch's view of the device: streams, guards, checks; one device, one stream.
#pragma once
#include "functions.h"
#include "macros.h"

namespace c10 {
namespace cuda {
struct CUDAStream {
  operator cudaStream_t() const { return nullptr; }
  cudaStream_t stream() const { return nullptr; }
  DeviceIndex device_index() const { return 0; }
  void synchronize() const {}
};
inline CUDAStream getCurrentCUDAStream(DeviceIndex = -1) { return {}; }
inline CUDAStream getDefaultCUDAStream(DeviceIndex = -1) { return {}; }
inline CUDAStream getStreamFromPool(bool = false, DeviceIndex = -1) { return {}; }
struct CUDAGuard {
  CUDAGuard(Device) {}
  CUDAGuard(int) {}
  void set_index(int) {}
};
struct OptionalCUDAGuard {
  OptionalCUDAGuard() = default;
  template <class T>
  OptionalCUDAGuard(T &&) {}
};
struct CUDAStreamGuard {
  CUDAStreamGuard(CUDAStream) {}
};
inline void checked(cudaError_t error) {
  if (error != cudaSuccess) throw Error(std::string("CUDA error: ") + cudaGetErrorString(error));
}
inline DeviceIndex current_device() { return 0; }
inline DeviceIndex device_count() { return 1; }
namespace compat {
using ::ceil; using ::copysign; using ::cos; using ::erf; using ::exp; using ::expm1; using ::floor;
using ::log; using ::log1p; using ::max; using ::min; using ::pow; using ::rsqrt; using ::sin;
using ::sqrt; using ::tan; using ::tanh;
}  // namespace compat
}  // namespace cuda
struct InferenceMode {
  InferenceMode(bool = true) {}
};
struct NoGradGuard {};
}  // namespace c10

namespace at {
namespace cuda {
using namespace c10::cuda;
using c10::cuda::getCurrentCUDAStream;
inline cudaDeviceProp *getCurrentDeviceProperties() {
  static cudaDeviceProp one;
  return &one;
}
inline cudaDeviceProp *getDeviceProperties(int) { return getCurrentDeviceProperties(); }
inline int warp_size() { return 32; }
}  // namespace cuda
inline Device device_of(const Tensor &x) { return x.device(); }
template <class T, bool>
struct AccumulateType {
  typedef T type;
};
template <>
struct AccumulateType<Half, true> {
  typedef float type;
};
template <>
struct AccumulateType<BFloat16, true> {
  typedef float type;
};
template <class T, bool OnDevice>
using acc_type = typename AccumulateType<T, OnDevice>::type;
template <class T>
using opmath_type = acc_type<T, true>;
template <class T>
inline T ceil_div(T a, T b) { return (a + b - 1) / b; }
template <class A, class B>
inline auto ceil_div(A a, B b) { return (a + b - 1) / b; }

#define SIMT_KIND(NAME, KIND) inline constexpr ScalarType NAME = ScalarType::KIND;
SIMT_KIND(kByte, Byte) SIMT_KIND(kUInt8, Byte) SIMT_KIND(kChar, Char) SIMT_KIND(kInt8, Char)
SIMT_KIND(kShort, Short) SIMT_KIND(kInt16, Short) SIMT_KIND(kInt, Int) SIMT_KIND(kInt32, Int)
SIMT_KIND(kLong, Long) SIMT_KIND(kInt64, Long) SIMT_KIND(kHalf, Half) SIMT_KIND(kFloat16, Half)
SIMT_KIND(kFloat, Float) SIMT_KIND(kFloat32, Float) SIMT_KIND(kDouble, Double)
SIMT_KIND(kFloat64, Double) SIMT_KIND(kBool, Bool) SIMT_KIND(kBFloat16, BFloat16)
#undef SIMT_KIND
inline constexpr DeviceType kCUDA = DeviceType::CUDA, kCPU = DeviceType::CPU;
inline constexpr Layout kStrided = Layout::Strided;
}  // namespace at

namespace c10 {
using at::kCUDA; using at::kCPU; using at::kFloat; using at::kHalf; using at::kBFloat16;
using at::kLong; using at::kInt; using at::kDouble; using at::kBool; using at::kByte;
using at::TensorList;
}  // namespace c10

namespace torch {
using namespace at;
using at::Tensor;
template <class T>
using optional = std::optional<T>;
using std::nullopt;
using Dtype = ScalarType;
using NoGradGuard = c10::NoGradGuard;
inline TensorOptions dtype(ScalarType type) { return TensorOptions(type); }
inline TensorOptions device(Device place) { return TensorOptions(place); }
inline TensorOptions TensorOptionsOf(ScalarType type) { return TensorOptions(type); }
namespace autograd {}
namespace nn {
namespace functional {
using at::softmax; using at::relu; using at::gelu; using at::silu; using at::linear;
using at::layer_norm;
}  // namespace functional
}  // namespace nn
namespace cuda {
inline bool is_available() { return true; }
inline int device_count() { return 1; }
inline void synchronize(int64_t = -1) {}
}  // namespace cuda
namespace indexing {}
}  // namespace torch

#define C10_CUDA_CHECK(expression) ::c10::cuda::checked(expression)
#define AT_CUDA_CHECK(expression) ::c10::cuda::checked(expression)
#define CUDA_CHECK_LAST() ::c10::cuda::checked(cudaGetLastError())
#define C10_CUDA_KERNEL_LAUNCH_CHECK() ::c10::cuda::checked(cudaGetLastError())
