// SPDX-License-Identifier: Apache-2.0
// Intrinsics at values their documentation gives or that decide. Prints what is wrong.
#include <cuda_fp16.h>
#include <math_constants.h>

#include <cstdio>
#include <cstdlib>

#define EXPECT(condition) \
  do { if (!(condition)) { ++wrong; printf("%d: %s\n", __LINE__, #condition); } } while (0)
static __device__ bool near(float a, float b) { return fabsf(a - b) <= 4e-7f * fabsf(b); }

__global__ void device_side(int *result) {
  int wrong = 0;
  EXPECT(abs(-2.5f) == 2.5f && abs(-3) == 3);
  EXPECT(max(1.5f, CUDART_NAN_F) == 1.5f && fminf(2.0f, CUDART_NAN_F) == 2.0f);
  EXPECT(max(-1, 2u) == 4294967295u);
  EXPECT(max(3ll, 5ll) == 5 && min(2.0f, 1.0) == 1.0);
  EXPECT(near(__expf(1.5f), expf(1.5f)) && near(__logf(7.0f), logf(7.0f)));
  EXPECT(near(__powf(2.0f, 0.5f), 1.41421356f) && near(rsqrtf(4.0f), 0.5f));
  EXPECT(__fdividef(1.0f, 4.0f) == 0.25f && __frcp_rn(8.0f) == 0.125f);
  EXPECT(__saturatef(1.5f) == 1.0f && __saturatef(-1.0f) == 0.0f && __saturatef(CUDART_NAN_F) == 0.0f);
  EXPECT(sinpif(1.0f) == 0.0f && near(cospif(1.0f), -1.0f) && near(normcdff(0.0f), 0.5f));
  EXPECT(near(exp10f(2.0f), 100.0f) && near(cbrtf(27.0f), 3.0f) && erff(0.0f) == 0.0f);
  float s, c;
  sincosf(1.0f, &s, &c);
  EXPECT(near(s, 0.84147098f) && near(c, 0.54030231f));
  EXPECT(__popc(0xf0f0u) == 8 && __popcll(~0ull) == 64 && __clz(1) == 31 && __clz(0) == 32);
  EXPECT(__ffs(8) == 4 && __ffs(0) == 0 && __brev(1u) == 0x80000000u && __clzll(1ll) == 63);
  EXPECT(__umulhi(0x80000000u, 4u) == 2u && __mulhi(-1, 1) == -1);
  EXPECT(__byte_perm(0x03020100u, 0x07060504u, 0x7531u) == 0x07050301u);
  EXPECT(__funnelshift_l(0x80000000u, 1u, 1) == 3u && __dp4a(0x01020304, 0x01010101, 5) == 15);
  EXPECT(__float2int_rn(2.5f) == 2 && __float2int_rn(3.5f) == 4 && __float2int_rz(-2.9f) == -2);
  EXPECT(__float2int_rd(-2.1f) == -3 && __float2int_ru(2.1f) == 3);
  EXPECT(__float2int_rn(1e20f) == 2147483647 && __float2int_rn(CUDART_NAN_F) == 0);
  EXPECT(__float2uint_rn(-5.0f) == 0u && __float_as_int(1.0f) == 0x3f800000);
  EXPECT(__uint_as_float(0x40490fdbu) == CUDART_PI_F && __double_as_longlong(-0.0) < 0);
  EXPECT(__half2float(__float2half_rz(0.99999f)) < 1.0f && __half2int_rn(__half(2.5f)) == 2);
  EXPECT(__hgt(__half(2.0f), __half(1.0f)) && __hisnan(CUDART_NAN_FP16));
  EXPECT(atomicCAS(result, 0, 7) == 0 && atomicExch(result, 0) == 7 && atomicMax(result, 3) == 0);
  EXPECT(atomicSub(result, 1) == 3 && atomicOr(result, 5) == 2 && atomicAnd(result, 3) == 7);
  unsigned wrap = 2;
  EXPECT(atomicInc(&wrap, 2u) == 2 && wrap == 0 && atomicDec(&wrap, 9u) == 0 && wrap == 9);
  float sum = 1;
  EXPECT(atomicAdd(&sum, 2.5f) == 1.0f && sum == 3.5f);
  *result = wrong;
}

extern "C" int run() {
  int *result, wrong = -1;
  if (cudaMalloc(&result, sizeof(int)) != cudaSuccess) return 3;
  cudaMemset(result, 0, sizeof(int));
  device_side<<<1, 1>>>(result);
  cudaMemcpy(&wrong, result, sizeof(int), cudaMemcpyDeviceToHost);
  return wrong;
}
