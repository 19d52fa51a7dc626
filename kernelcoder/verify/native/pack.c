// SPDX-License-Identifier: Apache-2.0
#include "pack.h"

#include <string.h>

int kc_contiguous(const KcTensor *tensor) {
  int64_t want = 1;
  for (int d = tensor->ndim - 1; d >= 0; --d) {
    if (tensor->shape[d] != 1 && tensor->strides[d] != want) return 0;
    want *= tensor->shape[d];
  }
  return 1;
}

uint64_t kc_packed_bytes(const KcTensor *tensor) {
  uint64_t n = tensor->bits / 8;
  for (int d = 0; d < tensor->ndim; ++d) n *= (uint64_t)tensor->shape[d];
  return n;
}

// Dimension d onwards.
static char *pack(char *to, const char *from, const KcTensor *tensor, int d) {
  const size_t item = tensor->bits / 8;
  if (d == tensor->ndim) {
    memcpy(to, from, item);
    return to + item;
  }
  const int64_t n = tensor->shape[d], stride = tensor->strides[d];
  if (d == tensor->ndim - 1 && stride == 1) {
    memcpy(to, from, (size_t)n * item);
    return to + (size_t)n * item;
  }
  if (d == tensor->ndim - 1 && item == 4) {
    for (int64_t i = 0; i < n; ++i) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i * stride];
    return to + (size_t)n * item;
  }
  if (d == tensor->ndim - 1 && item == 2) {
    for (int64_t i = 0; i < n; ++i) ((uint16_t *)to)[i] = ((const uint16_t *)from)[i * stride];
    return to + (size_t)n * item;
  }
  for (int64_t i = 0; i < n; ++i) to = pack(to, from + (size_t)(i * stride) * item, tensor, d + 1);
  return to;
}

char *kc_pack(char *to, const char *from, const KcTensor *tensor) {
  return pack(to, from, tensor, 0);
}
