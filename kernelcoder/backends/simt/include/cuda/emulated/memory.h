// SPDX-License-Identifier: Apache-2.0
// Allocation and copies of the runtime API over the runtime's guarded memory.
#pragma once
#include "api.h"

namespace simt {

// The tensors of the running call (entry.h), to tell what host code carries back and forth.
struct Tensors {
  const char *from[8], *to[8];
  bool output[8];
  int count;
};
inline Tensors tensors;

inline int tensor_at(const void *at) {
  const char *byte = static_cast<const char *>(at);
  for (int i = 0; i < tensors.count; ++i)
    if (byte >= tensors.from[i] && byte < tensors.to[i]) return i;
  return -1;
}

// A kernel's work is done on the device: host code that fetches a tensor or fills an output is said.
inline void note_host(const void *to, const void *from, cudaMemcpyKind kind, int line) {
  if (kind == cudaMemcpyDeviceToHost && tensor_at(from) >= 0)
    simt_warn("host-copy", line, "a tensor is copied to the host");
  const int target = kind == cudaMemcpyHostToDevice ? tensor_at(to) : -1;
  if (target >= 0) simt_warn("host-copy", line, "a tensor is filled from the host");
}

inline cudaError_t copy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, int line) {
  note_host(to, from, kind, line);
  simt_copy(to, from, bytes, line);
  return cudaSuccess;
}

inline cudaError_t allocated(void **at, size_t bytes, int space, const char *name) {
  *at = simt_allocate(bytes, space, name);
  return *at ? cudaSuccess : cudaErrorMemoryAllocation;
}

}  // namespace simt

template <class T>
inline cudaError_t cudaMalloc(T **at, size_t bytes) {
  return simt::allocated(reinterpret_cast<void **>(at), bytes, simt::SIMT_DEVICE, "cudaMalloc");
}
template <class T>
inline cudaError_t cudaMallocAsync(T **at, size_t bytes, cudaStream_t) {
  return cudaMalloc(at, bytes);
}
template <class T>
inline cudaError_t cudaMallocManaged(T **at, size_t bytes, unsigned = cudaMemAttachGlobal) {
  return simt::allocated(reinterpret_cast<void **>(at), bytes, simt::SIMT_HOST, "cudaMallocManaged");
}
template <class T>
inline cudaError_t cudaMallocHost(T **at, size_t bytes) {
  return simt::allocated(reinterpret_cast<void **>(at), bytes, simt::SIMT_HOST, "cudaMallocHost");
}
template <class T>
inline cudaError_t cudaHostAlloc(T **at, size_t bytes, unsigned) {
  return cudaMallocHost(at, bytes);
}
static inline cudaError_t cudaFree(void *at) {
  return at && simt_release(at) ? cudaErrorInvalidValue : cudaSuccess;
}
static inline cudaError_t cudaFreeAsync(void *at, cudaStream_t) { return cudaFree(at); }
static inline cudaError_t cudaFreeHost(void *at) { return cudaFree(at); }

static inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                                     SIMT_LINE) {
  return simt::copy(to, from, bytes, kind, simt_line);
}
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                          cudaMemcpyKind kind, cudaStream_t = nullptr, SIMT_LINE) {
  return simt::copy(to, from, bytes, kind, simt_line);
}
static inline cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from,
                                       size_t from_pitch, size_t width, size_t height,
                                       cudaMemcpyKind kind, SIMT_LINE) {
  for (size_t row = 0; row < height; ++row)
    simt::copy(static_cast<char *>(to) + row * to_pitch,
               static_cast<const char *>(from) + row * from_pitch, width, kind, simt_line);
  return cudaSuccess;
}
static inline cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                                            size_t from_pitch, size_t width, size_t height,
                                            cudaMemcpyKind kind, cudaStream_t = nullptr,
                                            SIMT_LINE) {
  return cudaMemcpy2D(to, to_pitch, from, from_pitch, width, height, kind, simt_line);
}
static inline cudaError_t cudaMemset(void *to, int byte, size_t bytes, SIMT_LINE) {
  return simt_fill(to, byte, bytes, simt_line), cudaSuccess;
}
static inline cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t = nullptr,
                                          SIMT_LINE) {
  return simt_fill(to, byte, bytes, simt_line), cudaSuccess;
}
template <class T>
inline cudaError_t cudaMemcpyToSymbol(T &symbol, const void *from, size_t bytes, size_t offset = 0,
                                      cudaMemcpyKind = cudaMemcpyHostToDevice) {
  if (offset + bytes > sizeof symbol) return cudaErrorInvalidValue;
  std::memcpy(reinterpret_cast<char *>(&symbol) + offset, from, bytes);
  return cudaSuccess;
}
template <class T>
inline cudaError_t cudaMemcpyToSymbolAsync(T &symbol, const void *from, size_t bytes,
                                           size_t offset = 0,
                                           cudaMemcpyKind kind = cudaMemcpyHostToDevice,
                                           cudaStream_t = nullptr) {
  return cudaMemcpyToSymbol(symbol, from, bytes, offset, kind);
}
template <class T>
inline cudaError_t cudaMemcpyFromSymbol(void *to, const T &symbol, size_t bytes, size_t offset = 0,
                                        cudaMemcpyKind = cudaMemcpyDeviceToHost) {
  if (offset + bytes > sizeof symbol) return cudaErrorInvalidValue;
  std::memcpy(to, reinterpret_cast<const char *>(&symbol) + offset, bytes);
  return cudaSuccess;
}
template <class T>
inline cudaError_t cudaGetSymbolAddress(void **at, T &symbol) {
  return *at = &symbol, cudaSuccess;
}
