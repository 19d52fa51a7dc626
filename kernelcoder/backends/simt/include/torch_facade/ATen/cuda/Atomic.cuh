// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <facade/module.h>

template <class T>
inline void gpuAtomicAdd(T *at, T value) { atomicAdd(at, value); }
template <class T>
inline void gpuAtomicAddNoReturn(T *at, T value) { atomicAdd(at, value); }
