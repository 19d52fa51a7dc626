// SPDX-License-Identifier: Apache-2.0
// What a slot's child calls: y = 2 * x by a kernel that has a fault where the scalar asks for one.
#include <dlpack/dlpack.h>
#include <sched.h>

#include "mini.h"

inline void twice(const float *x, float *y, int n, int fault) {
  __shared__ float s[64];
  const int i = static_cast<int>(blockIdx().x * 64 + threadIdx().x);
  s[threadIdx().x] = i < n ? x[i] : 0;
  sync();
  if (fault == 1 || i < n) y[i] = 2 * s[threadIdx().x];
  if (fault == 2) const_cast<float *>(x)[0] = 1;
}

// How many OS threads take part: each has thread-local state of its own, at another address. Waits
// until there are as many as wanted.
inline void count_threads(float *y, int wanted) {
  static unsigned long seen[64];
  const auto here = reinterpret_cast<unsigned long>(&simt_tls);
  for (unsigned long &entry : seen) {
    unsigned long nobody = 0;
    if (__atomic_compare_exchange_n(&entry, &nobody, here, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
      add(reinterpret_cast<int *>(y), 1);
    else if (nobody != here)
      continue;
    break;
  }
  while (!__atomic_load_n(&seen[wanted - 1], __ATOMIC_SEQ_CST)) sched_yield();
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double fault) {
  simt_call();
  simt_register_tensor("x", x->data, x->ndim, x->shape, x->strides, 4, 0);
  simt_register_tensor("y", y->data, y->ndim, y->shape, y->strides, 4, 1);
  const int n = static_cast<int>(x->shape[0]);
  const auto *from = static_cast<const float *>(x->data);
  auto *to = static_cast<float *>(y->data);
  if (fault == 3) *static_cast<volatile float *>(to + 100000) = 1;
  if (fault > 40) {
    simt_fill(to, 0, 4, 0);
    cuda("count_threads", {64, 1, 1}, {1, 1, 1}, 0, [=] { count_threads(to, static_cast<int>(fault) - 40); });
    int count;
    simt_copy(&count, to, 4, 0);
    *to = static_cast<float>(count);
    return;
  }
  cuda("twice", {static_cast<unsigned>(n + 63) / 64, 1, 1}, {64, 1, 1}, 0,
       [=] { twice(from, to, n, static_cast<int>(fault)); });
}
