// SPDX-License-Identifier: Apache-2.0
// The tensor: shape, strides and views are C++ of ours over the emulator's guarded memory; what
// computes is asked of PyTorch, which lives on the Python side (values.h).
#pragma once
#include "accessor.h"
#include "types.h"

namespace at {
using namespace c10;

// What Python is told of a tensor: cuda_child/values.py has the same structure.
struct View {
  void *base;       // of its storage
  int64_t bytes;    // of its storage
  void *data;       // first element
  const int64_t *sizes, *strides;  // in elements
  int32_t type, dims;
};

struct Storage {
  void *base = nullptr;
  int64_t bytes = 0;
  bool own = false;
  Storage(void *base, int64_t bytes, bool own) : base(base), bytes(bytes), own(own) {}
  Storage(const Storage &) = delete;
  ~Storage() {
    if (own && base) simt_release(base);
  }
};

struct Impl {
  std::shared_ptr<Storage> storage;
  char *data = nullptr;
  std::vector<int64_t> sizes, strides;
  ScalarType type = ScalarType::Float;
  View view() const {
    return {storage->base, storage->bytes, data, sizes.data(), strides.data(),
            static_cast<int32_t>(type), static_cast<int32_t>(sizes.size())};
  }
};

inline std::vector<int64_t> packed(const std::vector<int64_t> &sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = step;
    step *= sizes[i] > 0 ? sizes[i] : 1;
  }
  return strides;
}

class Tensor;
struct Argument;
using TensorList = ArrayRef<Tensor>;
using ITensorListRef = TensorList;

#define SIMT_OPERATIONS(X)                                                                       \
  X(abs) X(acos) X(add) X(add_) X(addmm) X(all) X(amax) X(amin) X(any) X(argmax) X(argmin)       \
  X(argsort) X(asin) X(atan) X(baddbmm) X(bmm) X(ceil) X(ceil_) X(clamp) X(clamp_)               \
  X(clamp_max) X(clamp_min) X(clamp_min_) X(copy_) X(cos) X(cosh) X(cumprod) X(cumsum) X(diag)   \
  X(div) X(div_) X(dot) X(eq) X(erf) X(exp) X(exp_) X(expm1) X(fill_) X(floor)                   \
  X(floor_divide) X(ge) X(gt) X(index_add_) X(index_select) X(isinf) X(isnan) X(le) X(lerp)      \
  X(log) X(log1p) X(log2) X(logical_and) X(logical_not) X(logical_or) X(logsumexp) X(lt)         \
  X(masked_fill) X(masked_fill_) X(masked_select) X(matmul) X(mean) X(mm) X(mul) X(mul_) X(mv)   \
  X(ne) X(neg) X(norm) X(pow) X(prod) X(random_) X(reciprocal) X(relu) X(relu_) X(remainder)     \
  X(repeat_interleave) X(roll) X(round) X(rsqrt) X(scatter_) X(scatter_add_) X(sigmoid)          \
  X(sigmoid_) X(sign) X(sin) X(sinh) X(softmax) X(log_softmax) X(sqrt) X(sqrt_) X(square)        \
  X(std) X(sub) X(sub_) X(sum) X(tan) X(tanh) X(tanh_) X(tril) X(triu) X(uniform_) X(normal_)    \
  X(var) X(where) X(take) X(gather) X(flip) X(repeat) X(unfold) X(addmv) X(addcmul) X(outer)

class Tensor {
 public:
  std::shared_ptr<Impl> impl;

  Tensor() = default;
  explicit Tensor(std::shared_ptr<Impl> impl) : impl(std::move(impl)) {}

  bool defined() const { return impl != nullptr; }
  int64_t dim() const { return static_cast<int64_t>(self().sizes.size()); }
  int64_t ndimension() const { return dim(); }
  int64_t size(int64_t d) const { return self().sizes[axis(d)]; }
  int64_t stride(int64_t d) const { return self().strides[axis(d)]; }
  IntArrayRef sizes() const { return IntArrayRef(self().sizes.data(), impl->sizes.size()); }
  IntArrayRef strides() const { return IntArrayRef(self().strides.data(), impl->strides.size()); }
  int64_t numel() const {
    int64_t n = 1;
    for (const int64_t s : self().sizes) n *= s;
    return n;
  }
  ScalarType scalar_type() const { return self().type; }
  ScalarType dtype() const { return self().type; }
  ScalarType type() const { return self().type; }
  size_t element_size() const { return elementSize(self().type); }
  size_t itemsize() const { return element_size(); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * element_size(); }
  TensorOptions options() const { return TensorOptions(self().type).device(DeviceType::CUDA); }
  Device device() const { return Device(DeviceType::CUDA, 0); }
  int64_t get_device() const { return 0; }
  bool is_cuda() const { return true; }
  bool is_cpu() const { return false; }
  Layout layout() const { return Layout::Strided; }
  bool is_sparse() const { return false; }
  bool requires_grad() const { return false; }
  Tensor set_requires_grad(bool) const { return *this; }
  bool is_floating_point() const { return isFloatingType(self().type); }
  bool is_contiguous(MemoryFormat format = MemoryFormat::Contiguous) const;
  bool is_non_overlapping_and_dense() const { return is_contiguous(); }
  MemoryFormat suggest_memory_format() const { return MemoryFormat::Contiguous; }
  bool is_same(const Tensor &other) const { return impl == other.impl; }
  bool is_same_size(const Tensor &other) const { return sizes() == other.sizes(); }
  int64_t storage_offset() const {
    return (self().data - static_cast<char *>(impl->storage->base)) / int64_t(element_size());
  }

  template <class T>
  T *data_ptr() const {
    if (CppTypeToScalarType<std::remove_const_t<T>>::value != self().type)
      throw Error(std::string("expected scalar type ") +
                  toString(CppTypeToScalarType<std::remove_const_t<T>>::value) + " but found " +
                  toString(impl->type));
    return reinterpret_cast<T *>(impl->data);
  }
  void *data_ptr() const { return self().data; }
  template <class T>
  const T *const_data_ptr() const { return data_ptr<T>(); }
  template <class T>
  T *mutable_data_ptr() const { return data_ptr<T>(); }
  const void *const_data_ptr() const { return data_ptr(); }
  void *mutable_data_ptr() const { return data_ptr(); }
  template <class T>
  T *data() const { return data_ptr<T>(); }

  // views.h
  Tensor as_strided(IntArrayRef sizes, IntArrayRef strides, int64_t offset = 0) const;
  Tensor view(IntArrayRef sizes) const;
  Tensor view(ScalarType type) const;
  Tensor view_as(const Tensor &other) const { return view(other.sizes()); }
  Tensor reshape(IntArrayRef sizes) const;
  Tensor reshape_as(const Tensor &other) const { return reshape(other.sizes()); }
  Tensor flatten(int64_t first = 0, int64_t last = -1) const;
  Tensor permute(IntArrayRef order) const;
  Tensor transpose(int64_t a, int64_t b) const;
  Tensor swapaxes(int64_t a, int64_t b) const { return transpose(a, b); }
  Tensor t() const { return dim() < 2 ? *this : transpose(0, 1); }
  Tensor mT() const { return transpose(-2, -1); }
  Tensor unsqueeze(int64_t d) const;
  Tensor squeeze(int64_t d) const;
  Tensor squeeze() const;
  Tensor select(int64_t d, int64_t index) const;
  Tensor operator[](int64_t index) const { return select(0, index); }
  Tensor narrow(int64_t d, int64_t start, int64_t length) const;
  Tensor slice(int64_t d = 0, std::optional<int64_t> from = {}, std::optional<int64_t> to = {},
               int64_t step = 1) const;
  Tensor expand(IntArrayRef sizes) const;
  Tensor expand_as(const Tensor &other) const { return expand(other.sizes()); }
  Tensor detach() const { return *this; }
  Tensor contiguous(MemoryFormat format = MemoryFormat::Contiguous) const;
  Tensor clone(std::optional<MemoryFormat> format = {}) const;
  Tensor zero_() const;
  Tensor cuda() const { return *this; }
  Tensor cpu() const { return *this; }
  Tensor pin_memory() const { return *this; }
  Tensor to(ScalarType type, bool = false, bool = false) const;
  Tensor to(Device, bool = false, bool = false) const { return *this; }
  Tensor to(DeviceType, bool = false, bool = false) const { return *this; }
  Tensor to(Device, ScalarType type, bool = false, bool = false) const { return to(type); }
  Tensor to(TensorOptions options, bool = false, bool = false) const {
    return options.typed ? to(options.type) : *this;
  }
  Tensor to(const Tensor &other) const { return to(other.scalar_type()); }
  Tensor toType(ScalarType type) const { return to(type); }
  Tensor type_as(const Tensor &other) const { return to(other.scalar_type()); }
  Tensor new_empty(IntArrayRef sizes) const;
  Tensor new_empty(IntArrayRef sizes, TensorOptions options) const;
  Tensor new_zeros(IntArrayRef sizes) const;
  Tensor new_zeros(IntArrayRef sizes, TensorOptions options) const;
  template <class T>
  T item() const;
  Scalar item() const;

  // values.h: any operation of Python's torch.Tensor, by name
  template <class... A>
  Tensor operation(const char *name, A &&...arguments) const;
#define SIMT_METHOD(NAME)                                                          \
  template <class... A>                                                            \
  Tensor NAME(A &&...arguments) const {                                            \
    return operation(#NAME, std::forward<A>(arguments)...);                        \
  }                                                                                \
  Tensor NAME(IntArrayRef list) const;                                             \
  Tensor NAME(IntArrayRef list, bool flag) const;
  SIMT_OPERATIONS(SIMT_METHOD)
#undef SIMT_METHOD
  std::tuple<Tensor, Tensor> max(int64_t d, bool keep = false) const;
  std::tuple<Tensor, Tensor> min(int64_t d, bool keep = false) const;
  Tensor max() const { return operation("max"); }
  Tensor min() const { return operation("min"); }
  Tensor max(const Tensor &other) const;
  Tensor min(const Tensor &other) const;
  std::vector<Tensor> split(int64_t size, int64_t d = 0) const;
  std::vector<Tensor> chunk(int64_t parts, int64_t d = 0) const;
  std::vector<Tensor> unbind(int64_t d = 0) const;

  template <class T, size_t N>
  TensorAccessor<T, N> accessor() const {
    return TensorAccessor<T, N>(data_of<T, N>(), self().sizes.data(), impl->strides.data());
  }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor32<T, N, P> packed_accessor32() const {
    return {data_of<T, N>(), self().sizes.data(), impl->strides.data()};
  }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor64<T, N, P> packed_accessor64() const {
    return {data_of<T, N>(), self().sizes.data(), impl->strides.data()};
  }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor64<T, N, P> packed_accessor() const { return packed_accessor64<T, N, P>(); }

  int64_t axis(int64_t d) const {
    const int64_t n = dim();
    if (d < -n || d >= n) throw IndexError("Dimension out of range");
    return d < 0 ? d + n : d;
  }

 private:
  Impl &self() const {
    if (!impl) throw Error("tensor is not defined");
    return *impl;
  }
  template <class T, size_t N>
  T *data_of() const {
    if (dim() != int64_t(N)) throw Error("TensorAccessor: the tensor has another number of dims");
    return data_ptr<T>();
  }
};

// New, uninitialized memory of the emulator.
inline Tensor allocate(const std::vector<int64_t> &sizes, ScalarType type, const char *name) {
  auto impl = std::make_shared<Impl>();
  impl->sizes = sizes, impl->strides = packed(sizes), impl->type = type;
  int64_t bytes = int64_t(elementSize(type));
  for (const int64_t s : sizes) {
    if (s < 0) throw Error("Trying to create tensor with negative dimension");
    bytes *= s;
  }
  void *base = simt_allocate(static_cast<size_t>(bytes), simt::SIMT_DEVICE, name);
  if (!base) throw Error("CUDA out of memory");
  impl->storage = std::make_shared<Storage>(base, bytes, true);
  impl->data = static_cast<char *>(base);
  return Tensor(impl);
}

}  // namespace at
