// SPDX-License-Identifier: Apache-2.0
// The way into a candidate: the harness calls `kernel` with up to eight tensors and four numbers;
// the candidate's own function (renamed simt_kernel) takes what it declares. Tensors are registered
// by the names it gives them; the stream is the default one.
#pragma once
#include <dlpack/dlpack.h>

#include <cstdlib>

#include "memory.h"

namespace simt {

struct Call {
  const DLTensor *const *tensor;
  const double *number;
  int at;
};

// Shapes are the host's. Copies on its heap are where the checked build sees a kernel read them.
struct Lent {
  DLTensor tensor;
  int64_t shape[8], strides[8];
};
inline DLTensor *lend(const DLTensor *t, int at) {
  static Lent *const all = static_cast<Lent *>(std::malloc(8 * sizeof(Lent)));
  Lent &one = all[at];
  one.tensor = *t;
  for (int d = 0; d < t->ndim; ++d) one.shape[d] = t->shape[d], one.strides[d] = t->strides[d];
  one.tensor.shape = one.shape, one.tensor.strides = one.strides;
  return &one.tensor;
}

template <class T>
struct Argument;
template <>
struct Argument<const DLTensor *> {
  static const DLTensor *take(Call &call) { return lend(*call.tensor++, call.at++); }
};
template <>
struct Argument<DLTensor *> {
  static DLTensor *take(Call &call) { return lend(*call.tensor++, call.at++); }
};
template <>
struct Argument<double> {
  static double take(Call &call) { return *call.number++; }
};
template <>
struct Argument<cudaStream_t> {
  static cudaStream_t take(Call &) { return nullptr; }
};

inline void announce(const char *name, const DLTensor *t, bool output) {
  const int item = t->dtype.bits / 8;
  char *first = static_cast<char *>(t->data) + t->byte_offset;
  int64_t elements = 1, last = 0;
  for (int d = 0; d < t->ndim; ++d) {
    elements *= t->shape[d];
    last += (t->shape[d] - 1) * t->strides[d];
  }
  simt_register_tensor(name, first, t->ndim, t->shape, t->strides, item, output);
  if (!elements || tensors.count == 8) return;
  const int at = tensors.count++;
  tensors.from[at] = first;
  tensors.to[at] = first + (last + 1) * item;
  tensors.output[at] = output;
}

template <class T>
inline void announce_if(const char *name, T value) {
  if constexpr (std::is_same_v<T, const DLTensor *>) announce(name, value, false);
  if constexpr (std::is_same_v<T, DLTensor *>) announce(name, value, true);
}

template <class... A>
inline void enter(void (*function)(A...), const char *const *names, const DLTensor *const *tensor,
                  const double *number) {
  static_assert(((std::is_same_v<A, const DLTensor *> || std::is_same_v<A, DLTensor *> ||
                  std::is_same_v<A, double> || std::is_same_v<A, cudaStream_t>) && ...),
                "kernel takes const DLTensor *, DLTensor *, double and a last cudaStream_t");
  Call call{tensor, number, 0};
  const std::tuple<A...> arguments{Argument<A>::take(call)...};
  simt_call();
  tensors.count = 0;
  std::apply([&](A... value) { (announce_if(*names++, value), ...); }, arguments);
  std::apply(function, arguments);
}

}  // namespace simt

#define SIMT_ENTRY(...)                                                                       \
  extern "C" void kernel(const DLTensor *a, const DLTensor *b, const DLTensor *c,             \
                         const DLTensor *d, const DLTensor *e, const DLTensor *f,             \
                         const DLTensor *g, const DLTensor *h, double p, double q, double r,  \
                         double s) {                                                          \
    static const char *const names[] = {__VA_ARGS__};                                         \
    const DLTensor *const tensors[] = {a, b, c, d, e, f, g, h};                               \
    const double numbers[] = {p, q, r, s};                                                    \
    simt::enter(simt_kernel, names, tensors, numbers);                                        \
  }
