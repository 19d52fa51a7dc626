// SPDX-License-Identifier: Apache-2.0
// PyTorch's checks and dispatch by element type (c10/util/Exception.h, ATen/Dispatch.h).
#pragma once
#include "types.h"

namespace c10 {
template <class... A>
inline std::string str(const A &...parts) {
  std::ostringstream out;
  (void)(out << ... << parts);
  return out.str();
}
inline ScalarType scalarTypeOf(ScalarType type) { return type; }
template <ScalarType>
struct ScalarTypeToCPPType;
#define SIMT_ELEMENT(NAME, T)                        \
  template <>                                        \
  struct ScalarTypeToCPPType<ScalarType::NAME> {     \
    typedef T type;                                  \
  };
SIMT_ELEMENT(Byte, uint8_t) SIMT_ELEMENT(Char, int8_t) SIMT_ELEMENT(Short, int16_t)
SIMT_ELEMENT(Int, int) SIMT_ELEMENT(Long, int64_t) SIMT_ELEMENT(Half, Half)
SIMT_ELEMENT(Float, float) SIMT_ELEMENT(Double, double) SIMT_ELEMENT(Bool, bool)
SIMT_ELEMENT(BFloat16, BFloat16)
#undef SIMT_ELEMENT
}  // namespace c10

#define TORCH_CHECK(condition, ...)                                             \
  do {                                                                          \
    if (!(condition)) {                                                         \
      const std::string simt_text = ::c10::str(__VA_ARGS__);                    \
      throw ::c10::Error(simt_text.empty() ? "Expected " #condition " to be true" : simt_text); \
    }                                                                           \
  } while (0)
#define TORCH_CHECK_VALUE TORCH_CHECK
#define TORCH_CHECK_INDEX TORCH_CHECK
#define TORCH_CHECK_TYPE TORCH_CHECK
#define TORCH_INTERNAL_ASSERT TORCH_CHECK
#define TORCH_CHECK_EQ(a, b) TORCH_CHECK((a) == (b), #a " == " #b)
#define TORCH_CHECK_NE(a, b) TORCH_CHECK((a) != (b), #a " != " #b)
#define TORCH_CHECK_LE(a, b) TORCH_CHECK((a) <= (b), #a " <= " #b)
#define TORCH_CHECK_LT(a, b) TORCH_CHECK((a) < (b), #a " < " #b)
#define TORCH_CHECK_GE(a, b) TORCH_CHECK((a) >= (b), #a " >= " #b)
#define TORCH_CHECK_GT(a, b) TORCH_CHECK((a) > (b), #a " > " #b)
#define TORCH_WARN(...) ((void)0)
#define TORCH_WARN_ONCE(...) ((void)0)
#define AT_ERROR(...) throw ::c10::Error(::c10::str(__VA_ARGS__))
#define AT_ASSERTM TORCH_CHECK
#define AT_ASSERT TORCH_CHECK
#define C10_UNUSED [[maybe_unused]]
#define C10_HOST_DEVICE
#define C10_DEVICE
#define C10_HOST
#define C10_RESTRICT __restrict__
#define C10_LIKELY(x) __builtin_expect(bool(x), 1)
#define C10_UNLIKELY(x) __builtin_expect(bool(x), 0)
#define C10_ALWAYS_INLINE inline
#define C10_LAUNCH_BOUNDS_1(...)
#define C10_LAUNCH_BOUNDS_2(...)
#define TORCH_API

#define AT_DISPATCH_CASE(TYPE, ...)                                            \
  case TYPE: {                                                                 \
    using scalar_t [[maybe_unused]] = typename ::c10::ScalarTypeToCPPType<TYPE>::type; \
    return __VA_ARGS__();                                                      \
  }
#define AT_DISPATCH_SWITCH(TYPE, NAME, ...)                                    \
  [&] {                                                                        \
    const auto &simt_type = TYPE;                                              \
    switch (::c10::scalarTypeOf(simt_type)) {                                  \
      __VA_ARGS__                                                              \
      default:                                                                 \
        throw ::c10::Error(::c10::str("\"", NAME, "\" not implemented for '",  \
                                      ::c10::scalarTypeOf(simt_type), "'"));   \
    }                                                                          \
  }()
#define SIMT_ST(NAME) ::c10::ScalarType::NAME
#define AT_DISPATCH_CASE_FLOATING_TYPES(...)                                   \
  AT_DISPATCH_CASE(SIMT_ST(Double), __VA_ARGS__) AT_DISPATCH_CASE(SIMT_ST(Float), __VA_ARGS__)
#define AT_DISPATCH_CASE_INTEGRAL_TYPES(...)                                   \
  AT_DISPATCH_CASE(SIMT_ST(Byte), __VA_ARGS__) AT_DISPATCH_CASE(SIMT_ST(Char), __VA_ARGS__) \
  AT_DISPATCH_CASE(SIMT_ST(Int), __VA_ARGS__) AT_DISPATCH_CASE(SIMT_ST(Long), __VA_ARGS__)  \
  AT_DISPATCH_CASE(SIMT_ST(Short), __VA_ARGS__)
#define AT_DISPATCH_CASE_ALL_TYPES(...)                                        \
  AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__)
#define AT_DISPATCH_FLOATING_TYPES(TYPE, NAME, ...)                            \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND(T1, TYPE, NAME, ...)                    \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__)  \
                     AT_DISPATCH_CASE(T1, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND2(T1, T2, TYPE, NAME, ...)               \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__)  \
                     AT_DISPATCH_CASE(T1, __VA_ARGS__) AT_DISPATCH_CASE(T2, __VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND_HALF(TYPE, NAME, ...)                   \
  AT_DISPATCH_FLOATING_TYPES_AND(SIMT_ST(Half), TYPE, NAME, __VA_ARGS__)
#define AT_DISPATCH_REDUCED_FLOATING_TYPES(TYPE, NAME, ...)                    \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE(SIMT_ST(Half), __VA_ARGS__)  \
                     AT_DISPATCH_CASE(SIMT_ST(BFloat16), __VA_ARGS__))
#define AT_DISPATCH_INTEGRAL_TYPES(TYPE, NAME, ...)                            \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES(TYPE, NAME, ...)                                 \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES_AND(T1, TYPE, NAME, ...)                         \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__)       \
                     AT_DISPATCH_CASE(T1, __VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES_AND2(T1, T2, TYPE, NAME, ...)                    \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__)       \
                     AT_DISPATCH_CASE(T1, __VA_ARGS__) AT_DISPATCH_CASE(T2, __VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES_AND3(T1, T2, T3, TYPE, NAME, ...)                \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__)       \
                     AT_DISPATCH_CASE(T1, __VA_ARGS__) AT_DISPATCH_CASE(T2, __VA_ARGS__) \
                     AT_DISPATCH_CASE(T3, __VA_ARGS__))
#define CUDA_KERNEL_LOOP_TYPE(i, n, T)                                         \
  for (T i = T(blockIdx.x) * blockDim.x + threadIdx.x; i < (n); i += T(blockDim.x) * gridDim.x)
#define CUDA_KERNEL_LOOP(i, n) CUDA_KERNEL_LOOP_TYPE(i, n, int64_t)
