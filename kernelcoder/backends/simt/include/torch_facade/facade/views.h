// SPDX-License-Identifier: Apache-2.0
// Views and copies: the part of a tensor's methods that needs no arithmetic.
#pragma once
#include "tensor.h"

namespace at {

inline bool Tensor::is_contiguous(MemoryFormat format) const {
  std::vector<int64_t> wanted = packed(self().sizes);
  if (format == MemoryFormat::ChannelsLast && dim() == 4) {
    const std::vector<int64_t> &n = impl->sizes;
    wanted = {n[1] * n[2] * n[3], 1, n[3] * n[1], n[1]};
  }
  for (size_t d = 0; d < wanted.size(); ++d)
    if (impl->sizes[d] != 1 && impl->strides[d] != wanted[d]) return numel() == 0;
  return true;
}

inline Tensor Tensor::as_strided(IntArrayRef sizes, IntArrayRef strides, int64_t offset) const {
  auto made = std::make_shared<Impl>(self());
  made->sizes = sizes.vec(), made->strides = strides.vec();
  made->data = impl->data + offset * int64_t(element_size());
  return Tensor(made);
}

// -1 stands for the one size that follows from the others.
inline std::vector<int64_t> resolved(IntArrayRef wanted, int64_t numel) {
  std::vector<int64_t> sizes = wanted.vec();
  int64_t known = 1, open = -1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] < 0) open = int64_t(d);
    else known *= sizes[d];
  }
  if (open >= 0) sizes[size_t(open)] = known ? numel / known : 0, known *= sizes[size_t(open)];
  if (known != numel) throw Error("shape is invalid for input of size " + std::to_string(numel));
  return sizes;
}

inline Tensor Tensor::view(IntArrayRef sizes) const {
  const std::vector<int64_t> wanted = resolved(sizes, numel());
  if (!is_contiguous())
    throw Error("view size is not compatible with input tensor's size and stride");
  return as_strided(wanted, packed(wanted));
}
inline Tensor Tensor::view(ScalarType type) const {
  if (elementSize(type) != element_size()) throw Error("view(dtype) of another size");
  Tensor made = as_strided(sizes(), strides());
  made.impl->type = type;
  return made;
}
inline Tensor Tensor::reshape(IntArrayRef sizes) const {
  return contiguous().view(sizes);
}
inline Tensor Tensor::flatten(int64_t first, int64_t last) const {
  if (dim() == 0) return reshape({1});
  first = axis(first), last = axis(last);
  std::vector<int64_t> sizes(impl->sizes.begin(), impl->sizes.begin() + first);
  int64_t merged = 1;
  for (int64_t d = first; d <= last; ++d) merged *= impl->sizes[size_t(d)];
  sizes.push_back(merged);
  sizes.insert(sizes.end(), impl->sizes.begin() + last + 1, impl->sizes.end());
  return reshape(sizes);
}
inline Tensor Tensor::permute(IntArrayRef order) const {
  if (int64_t(order.size()) != dim()) throw Error("permute: another number of dims");
  std::vector<int64_t> sizes, strides;
  for (const int64_t d : order) sizes.push_back(size(d)), strides.push_back(stride(d));
  return as_strided(sizes, strides);
}
inline Tensor Tensor::transpose(int64_t a, int64_t b) const {
  std::vector<int64_t> sizes = self().sizes, strides = impl->strides;
  std::swap(sizes[size_t(axis(a))], sizes[size_t(axis(b))]);
  std::swap(strides[size_t(axis(a))], strides[size_t(axis(b))]);
  return as_strided(sizes, strides);
}
inline Tensor Tensor::unsqueeze(int64_t d) const {
  if (d < -dim() - 1 || d > dim()) throw IndexError("Dimension out of range");
  if (d < 0) d += dim() + 1;
  std::vector<int64_t> sizes = self().sizes, strides = impl->strides;
  const int64_t step = d < dim() ? sizes[size_t(d)] * strides[size_t(d)] : 1;
  sizes.insert(sizes.begin() + d, 1), strides.insert(strides.begin() + d, step);
  return as_strided(sizes, strides);
}
inline Tensor Tensor::squeeze(int64_t d) const {
  std::vector<int64_t> sizes = self().sizes, strides = impl->strides;
  d = axis(d);
  if (sizes[size_t(d)] != 1) return *this;
  sizes.erase(sizes.begin() + d), strides.erase(strides.begin() + d);
  return as_strided(sizes, strides);
}
inline Tensor Tensor::squeeze() const {
  std::vector<int64_t> sizes, strides;
  for (size_t d = 0; d < self().sizes.size(); ++d)
    if (impl->sizes[d] != 1) sizes.push_back(impl->sizes[d]), strides.push_back(impl->strides[d]);
  return as_strided(sizes, strides);
}
inline Tensor Tensor::select(int64_t d, int64_t index) const {
  d = axis(d);
  if (index < -size(d) || index >= size(d)) throw IndexError("select(): index out of range");
  if (index < 0) index += size(d);
  std::vector<int64_t> sizes = impl->sizes, strides = impl->strides;
  sizes.erase(sizes.begin() + d), strides.erase(strides.begin() + d);
  return as_strided(sizes, strides, index * stride(d));
}
inline Tensor Tensor::slice(int64_t d, std::optional<int64_t> from, std::optional<int64_t> to,
                            int64_t step) const {
  d = axis(d);
  const int64_t n = size(d);
  auto placed = [n](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + n : at, 0, n); };
  const int64_t first = placed(from.value_or(0)), last = placed(to.value_or(n));
  std::vector<int64_t> sizes = impl->sizes, strides = impl->strides;
  sizes[size_t(d)] = last > first ? (last - first + step - 1) / step : 0;
  strides[size_t(d)] *= step;
  return as_strided(sizes, strides, first * stride(d));
}
inline Tensor Tensor::narrow(int64_t d, int64_t start, int64_t length) const {
  if (start < 0 || length < 0 || start + length > size(d))
    throw IndexError("narrow(): start + length exceeds the dimension");
  return slice(d, start, start + length);
}
inline Tensor Tensor::expand(IntArrayRef wanted) const {
  std::vector<int64_t> sizes = wanted.vec(), strides(sizes.size(), 0);
  const int64_t more = int64_t(sizes.size()) - dim();
  if (more < 0) throw Error("expand: fewer sizes than the tensor has dims");
  for (size_t d = 0; d < sizes.size(); ++d) {
    const int64_t own = int64_t(d) - more;
    const int64_t have = own < 0 ? 1 : impl->sizes[size_t(own)];
    if (sizes[d] < 0) sizes[d] = have;
    if (have != 1 && have != sizes[d]) throw Error("expand: the sizes do not match");
    if (own >= 0 && have == sizes[d]) strides[d] = impl->strides[size_t(own)];
  }
  return as_strided(sizes, strides);
}

// Every element's place in memory, in row-major order.
template <class F>
inline void each_offset(const Impl &impl, F &&visit) {
  std::vector<int64_t> index(impl.sizes.size(), 0);
  int64_t count = 1, offset = 0;
  for (const int64_t s : impl.sizes) count *= s;
  for (int64_t i = 0; i < count; ++i) {
    visit(i, offset);
    for (size_t d = index.size(); d-- > 0;) {
      offset += impl.strides[d];
      if (++index[d] < impl.sizes[d]) break;
      offset -= impl.strides[d] * index[d];
      index[d] = 0;
    }
  }
}

inline Tensor Tensor::clone(std::optional<MemoryFormat>) const {
  Tensor made = allocate(self().sizes, impl->type, "clone");
  const size_t item = element_size();
  if (is_contiguous()) simt_copy(made.impl->data, impl->data, nbytes(), 0);
  else
    each_offset(*impl, [&](int64_t i, int64_t from) {
      simt_copy(made.impl->data + i * int64_t(item), impl->data + from * int64_t(item), item, 0);
    });
  return made;
}
inline Tensor Tensor::contiguous(MemoryFormat) const { return is_contiguous() ? *this : clone(); }
inline Tensor Tensor::zero_() const {
  if (is_contiguous()) return simt_fill(impl->data, 0, nbytes(), 0), *this;
  return fill_(0.0);
}
inline Scalar Tensor::item() const {
  if (numel() != 1) throw Error("a Tensor with more than one element cannot be converted to Scalar");
  alignas(8) char bytes[8];
  simt_copy(bytes, impl->data, element_size(), 0);
  switch (impl->type) {
    case ScalarType::Float: return simt::bits<float>(*reinterpret_cast<int32_t *>(bytes));
    case ScalarType::Double: return simt::bits<double>(*reinterpret_cast<int64_t *>(bytes));
    case ScalarType::Half: return float(*reinterpret_cast<Half *>(bytes));
    case ScalarType::BFloat16: return float(*reinterpret_cast<BFloat16 *>(bytes));
    case ScalarType::Long: return *reinterpret_cast<int64_t *>(bytes);
    case ScalarType::Int: return *reinterpret_cast<int32_t *>(bytes);
    case ScalarType::Short: return *reinterpret_cast<int16_t *>(bytes);
    case ScalarType::Char: return *reinterpret_cast<int8_t *>(bytes);
    case ScalarType::Byte: return *reinterpret_cast<uint8_t *>(bytes);
    default: return bytes[0] != 0;
  }
}
template <class T>
inline T Tensor::item() const { return item().template to<T>(); }

}  // namespace at
