// SPDX-License-Identifier: Apache-2.0
// Indexing by strides on the host and (packed: by value) in kernels.
#pragma once
#include "types.h"

namespace at {

template <class T>
struct DefaultPtrTraits {
  typedef T *PtrType;
};
template <class T>
struct RestrictPtrTraits {
  typedef T *__restrict__ PtrType;
};

// A tensor with its first dims taken: sizes and strides lie elsewhere.
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
class TensorAccessor {
 public:
  TensorAccessor(T *data, const I *sizes, const I *strides)
      : data_(data), sizes_(sizes), strides_(strides) {}
  decltype(auto) operator[](I i) const {
    if constexpr (N == 1) return (data_[i * strides_[0]]);
    else return TensorAccessor<T, N - 1, P, I>(data_ + i * strides_[0], sizes_ + 1, strides_ + 1);
  }
  I size(int64_t d) const { return sizes_[d]; }
  I stride(int64_t d) const { return strides_[d]; }
  T *data() const { return data_; }

 private:
  T *data_;
  const I *sizes_, *strides_;
};

template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
class GenericPackedTensorAccessor {
 public:
  GenericPackedTensorAccessor(T *data, const int64_t *sizes, const int64_t *strides) : data_(data) {
    for (size_t d = 0; d < N; ++d) sizes_[d] = I(sizes[d]), strides_[d] = I(strides[d]);
  }
  decltype(auto) operator[](I i) const {
    if constexpr (N == 1) return (data_[i * strides_[0]]);
    else return TensorAccessor<T, N - 1, P, I>(data_ + i * strides_[0], sizes_ + 1, strides_ + 1);
  }
  I size(int64_t d) const { return sizes_[d]; }
  I stride(int64_t d) const { return strides_[d]; }
  T *data() const { return data_; }

 private:
  T *data_;
  I sizes_[N], strides_[N];
};
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using PackedTensorAccessor = GenericPackedTensorAccessor<T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits>
using PackedTensorAccessor32 = GenericPackedTensorAccessor<T, N, P, int32_t>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits>
using PackedTensorAccessor64 = GenericPackedTensorAccessor<T, N, P, int64_t>;

}  // namespace at
