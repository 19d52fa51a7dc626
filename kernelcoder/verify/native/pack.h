// SPDX-License-Identifier: Apache-2.0
// Strided tensors as row-major copies.
#pragma once
#include <stdint.h>

#include "protocol.h"

int kc_contiguous(const KcTensor *tensor);

// Bytes of a row-major copy.
uint64_t kc_packed_bytes(const KcTensor *tensor);

// Copies the tensor whose first element is at `from` to `to`, row-major; returns the end.
char *kc_pack(char *to, const char *from, const KcTensor *tensor);
