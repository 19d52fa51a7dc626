// SPDX-License-Identifier: Apache-2.0
// Functions of namespaces at and torch: making tensors here, all else done in Python.
#pragma once
#include "values.h"

namespace at {

inline Tensor empty(IntArrayRef sizes, TensorOptions options = {},
                    std::optional<MemoryFormat> = {}) {
  return allocate(sizes.vec(), options.type, "empty");
}
inline Tensor zeros(IntArrayRef sizes, TensorOptions options = {}) {
  return allocate(sizes.vec(), options.type, "zeros").zero_();
}
inline Tensor full(IntArrayRef sizes, Scalar value, TensorOptions options = {}) {
  if (!options.typed && value.integral) options = options.dtype(ScalarType::Long);
  return allocate(sizes.vec(), options.type, "full").fill_(value);
}
inline Tensor ones(IntArrayRef sizes, TensorOptions options = {}) {
  return allocate(sizes.vec(), options.type, "ones").fill_(1.0);
}
inline Tensor empty_like(const Tensor &x) {
  return allocate(x.sizes().vec(), x.scalar_type(), "empty_like");
}
inline ScalarType type_of(const Tensor &x, const TensorOptions &options) {
  return options.typed ? options.type : x.scalar_type();
}
inline Tensor empty_like(const Tensor &x, TensorOptions options,
                         std::optional<MemoryFormat> = {}) {
  return allocate(x.sizes().vec(), type_of(x, options), "empty_like");
}
inline Tensor empty_like(const Tensor &x, MemoryFormat) { return empty_like(x); }
inline Tensor zeros_like(const Tensor &x, TensorOptions options = {}) {
  return allocate(x.sizes().vec(), type_of(x, options), "zeros_like").zero_();
}
inline Tensor ones_like(const Tensor &x, TensorOptions options = {}) {
  return allocate(x.sizes().vec(), type_of(x, options), "ones_like").fill_(1.0);
}
inline Tensor full_like(const Tensor &x, Scalar value, TensorOptions options = {}) {
  return allocate(x.sizes().vec(), type_of(x, options), "full_like").fill_(value);
}
inline Tensor empty_strided(IntArrayRef sizes, IntArrayRef strides, TensorOptions options = {}) {
  int64_t count = 1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == 0) return empty(sizes, options);
    count += (sizes[d] - 1) * strides[d];
  }
  return allocate({count}, options.type, "empty_strided").as_strided(sizes, strides);
}
inline Tensor arange(Scalar from, Scalar to, Scalar step, TensorOptions options = {}) {
  const bool whole = from.integral && to.integral && step.integral;
  return operation("arange", from, to, step,
                   options.typed ? options.type : whole ? ScalarType::Long : ScalarType::Float);
}
inline Tensor arange(Scalar from, Scalar to, TensorOptions options = {}) {
  return arange(from, to, 1, options);
}
inline Tensor arange(Scalar to, TensorOptions options = {}) { return arange(0, to, 1, options); }
inline Tensor randn(IntArrayRef sizes, TensorOptions options = {}) {
  return empty(sizes, options).normal_();
}
inline Tensor rand(IntArrayRef sizes, TensorOptions options = {}) {
  return empty(sizes, options).uniform_();
}
template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
inline Tensor tensor(const std::vector<T> &list, TensorOptions options = {}) {
  const bool real = std::is_floating_point_v<T>;
  const ScalarType own = real ? ScalarType::Float : ScalarType::Long;
  Tensor made = allocate({int64_t(list.size())}, options.typed ? options.type : own, "tensor");
  for (size_t i = 0; i < list.size(); ++i) made[int64_t(i)].fill_(list[i]);
  return made;
}
template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
inline Tensor tensor(std::initializer_list<T> list, TensorOptions options = {}) {
  return tensor(std::vector<T>(list), options);
}
template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
inline Tensor tensor(T value, TensorOptions options = {}) {
  return tensor(std::vector<T>{value}, options).squeeze(0);
}
inline Tensor scalar_tensor(Scalar value, TensorOptions options = {}) {
  return full({}, value, options);
}
inline Tensor from_blob(void *data, IntArrayRef sizes, TensorOptions options = {}) {
  Tensor made = allocate(sizes.vec(), options.type, "from_blob");
  return simt_copy(made.impl->data, data, made.nbytes(), 0), made;
}
inline Tensor Tensor::new_empty(IntArrayRef sizes) const { return empty(sizes, options()); }
inline Tensor Tensor::new_zeros(IntArrayRef sizes) const { return zeros(sizes, options()); }
inline Tensor Tensor::new_empty(IntArrayRef sizes, TensorOptions o) const {
  return empty(sizes, type_of(*this, o));
}
inline Tensor Tensor::new_zeros(IntArrayRef sizes, TensorOptions o) const {
  return zeros(sizes, type_of(*this, o));
}

#define SIMT_FUNCTION(NAME)                                                    \
  template <class... A>                                                        \
  inline Tensor NAME(const Tensor &x, A &&...arguments) {                      \
    return operation(#NAME, x, std::forward<A>(arguments)...);                 \
  }                                                                            \
  inline Tensor NAME(const Tensor &x, IntArrayRef list) { return operation(#NAME, x, list); } \
  inline Tensor NAME(const Tensor &x, IntArrayRef list, bool flag) {           \
    return operation(#NAME, x, list, flag);                                    \
  }
SIMT_OPERATIONS(SIMT_FUNCTION)
SIMT_FUNCTION(avg_pool2d) SIMT_FUNCTION(batch_norm) SIMT_FUNCTION(elu) SIMT_FUNCTION(gelu)
SIMT_FUNCTION(group_norm) SIMT_FUNCTION(hardsigmoid) SIMT_FUNCTION(hardswish)
SIMT_FUNCTION(hardtanh) SIMT_FUNCTION(instance_norm) SIMT_FUNCTION(layer_norm)
SIMT_FUNCTION(leaky_relu) SIMT_FUNCTION(linear) SIMT_FUNCTION(max_pool2d) SIMT_FUNCTION(maximum)
SIMT_FUNCTION(minimum) SIMT_FUNCTION(mish) SIMT_FUNCTION(relu6) SIMT_FUNCTION(selu)
SIMT_FUNCTION(silu) SIMT_FUNCTION(softplus) SIMT_FUNCTION(clone) SIMT_FUNCTION(max)
SIMT_FUNCTION(min) SIMT_FUNCTION(adaptive_avg_pool2d) SIMT_FUNCTION(avg_pool1d)
SIMT_FUNCTION(avg_pool3d) SIMT_FUNCTION(max_pool1d) SIMT_FUNCTION(max_pool3d)
SIMT_FUNCTION(constant_pad_nd) SIMT_FUNCTION(nll_loss) SIMT_FUNCTION(mse_loss)
#undef SIMT_FUNCTION
// One number stands for one per spatial dim, as in Python.
#define SIMT_CONVOLUTION(NAME)                                                                   \
  inline Tensor NAME(const Tensor &x, const Tensor &w, const std::optional<Tensor> &b = {},      \
                     IntArrayRef stride = int64_t(1), IntArrayRef padding = int64_t(0),          \
                     IntArrayRef dilation = int64_t(1), int64_t groups = 1) {                    \
    return operation(#NAME, x, w, b, stride, padding, dilation, groups);                         \
  }
SIMT_CONVOLUTION(conv1d) SIMT_CONVOLUTION(conv2d) SIMT_CONVOLUTION(conv3d)
#undef SIMT_CONVOLUTION
#define SIMT_CONVOLUTION(NAME)                                                                   \
  inline Tensor NAME(const Tensor &x, const Tensor &w, const std::optional<Tensor> &b = {},      \
                     IntArrayRef stride = int64_t(1), IntArrayRef padding = int64_t(0),          \
                     IntArrayRef output_padding = int64_t(0), int64_t groups = 1,                \
                     IntArrayRef dilation = int64_t(1)) {                                        \
    return operation(#NAME, x, w, b, stride, padding, output_padding, groups, dilation);         \
  }
SIMT_CONVOLUTION(conv_transpose1d) SIMT_CONVOLUTION(conv_transpose2d)
SIMT_CONVOLUTION(conv_transpose3d)
#undef SIMT_CONVOLUTION
inline Tensor cat(const std::vector<Tensor> &list, int64_t d = 0) {
  return operation("cat", list, d);
}
inline Tensor stack(const std::vector<Tensor> &list, int64_t d = 0) {
  return operation("stack", list, d);
}
inline Tensor einsum(const std::string &text, const std::vector<Tensor> &list) {
  return operation("einsum", text, list);
}
inline Tensor transpose(const Tensor &x, int64_t a, int64_t b) { return x.transpose(a, b); }
inline Tensor squeeze(const Tensor &x, int64_t d) { return x.squeeze(d); }
inline Tensor unsqueeze(const Tensor &x, int64_t d) { return x.unsqueeze(d); }

#define SIMT_ARITHMETIC(OP, NAME)                                                          \
  inline Tensor operator OP(const Tensor &a, const Tensor &b) { return a.operation(#NAME, b); } \
  inline Tensor operator OP(const Tensor &a, Scalar b) { return a.operation(#NAME, b); }
SIMT_ARITHMETIC(+, add) SIMT_ARITHMETIC(-, sub) SIMT_ARITHMETIC(*, mul) SIMT_ARITHMETIC(/, div)
SIMT_ARITHMETIC(<, lt) SIMT_ARITHMETIC(>, gt) SIMT_ARITHMETIC(<=, le) SIMT_ARITHMETIC(>=, ge)
#undef SIMT_ARITHMETIC
inline Tensor operator-(const Tensor &a) { return a.operation("neg"); }
inline Tensor operator+(Scalar a, const Tensor &b) { return b.operation("add", a); }
inline Tensor operator*(Scalar a, const Tensor &b) { return b.operation("mul", a); }
inline Tensor operator-(Scalar a, const Tensor &b) { return (-b).operation("add", a); }
inline Tensor operator/(Scalar a, const Tensor &b) {
  return b.operation("reciprocal").operation("mul", a);
}
inline Tensor &operator+=(Tensor &a, const Tensor &b) { return a = a.add_(b); }
inline Tensor &operator*=(Tensor &a, const Tensor &b) { return a = a.mul_(b); }

}  // namespace at
