// SPDX-License-Identifier: Apache-2.0
// The part of the DLPack tensor ABI that a candidate needs: the layout of DLTensor.
#ifndef KERNELCODER_DLPACK_H
#define KERNELCODER_DLPACK_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { kDLCPU = 1, kDLCUDA = 2 } DLDeviceType;
typedef enum { kDLInt = 0U, kDLUInt = 1U, kDLFloat = 2U, kDLBfloat = 4U } DLDataTypeCode;

typedef struct {
  int32_t device_type;
  int32_t device_id;
} DLDevice;

typedef struct {
  uint8_t code;   // a DLDataTypeCode
  uint8_t bits;   // 16, 32, ...
  uint16_t lanes; // always 1 here
} DLDataType;

typedef struct {
  void *data;           // first byte of the buffer; add byte_offset for the first element
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;       // ndim numbers
  int64_t *strides;     // ndim numbers, in elements, never NULL here
  uint64_t byte_offset; // in bytes
} DLTensor;

#ifdef __cplusplus
}
#endif

#endif
