// SPDX-License-Identifier: Apache-2.0
// Stand-ins for PyTorch's plain C++ types: scalar types, devices, array references, options. Names
// and numbers are those of its C++ API (c10/core/ScalarType.h); nothing of PyTorch is needed.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace std {
// Of <iostream>, which PyTorch's headers bring along, without the code it runs when it is loaded.
extern ostream cout, cerr, clog;
}  // namespace std

namespace c10 {

enum class ScalarType : int8_t {
  Byte = 0, Char = 1, Short = 2, Int = 3, Long = 4, Half = 5, Float = 6, Double = 7, Bool = 11,
  BFloat16 = 15, Undefined = 29
};
enum class DeviceType : int8_t { CPU = 0, CUDA = 1 };
enum class MemoryFormat { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };
enum class Layout { Strided, Sparse };
using DeviceIndex = int8_t;
typedef ::__half Half;
typedef ::__nv_bfloat16 BFloat16;
template <class T>
using optional = std::optional<T>;
using std::make_optional;
using std::nullopt;
using std::nullopt_t;
using string_view = std::string_view;

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct IndexError : Error {
  using Error::Error;
};

inline const char *toString(ScalarType type) {
  switch (type) {
    case ScalarType::Byte: return "Byte";
    case ScalarType::Char: return "Char";
    case ScalarType::Short: return "Short";
    case ScalarType::Int: return "Int";
    case ScalarType::Long: return "Long";
    case ScalarType::Half: return "Half";
    case ScalarType::Float: return "Float";
    case ScalarType::Double: return "Double";
    case ScalarType::Bool: return "Bool";
    case ScalarType::BFloat16: return "BFloat16";
    default: return "Undefined";
  }
}
inline size_t elementSize(ScalarType type) {
  switch (type) {
    case ScalarType::Byte: case ScalarType::Char: case ScalarType::Bool: return 1;
    case ScalarType::Short: case ScalarType::Half: case ScalarType::BFloat16: return 2;
    case ScalarType::Int: case ScalarType::Float: return 4;
    default: return 8;
  }
}
inline bool isFloatingType(ScalarType type) {
  return type == ScalarType::Half || type == ScalarType::Float || type == ScalarType::Double ||
         type == ScalarType::BFloat16;
}
inline bool isIntegralType(ScalarType type, bool with_bool = false) {
  return type <= ScalarType::Long || (with_bool && type == ScalarType::Bool);
}
inline std::ostream &operator<<(std::ostream &out, ScalarType type) { return out << toString(type); }

template <class T>
struct CppTypeToScalarType;
#define SIMT_ELEMENT(T, NAME)                           \
  template <>                                           \
  struct CppTypeToScalarType<T> {                       \
    static constexpr ScalarType value = ScalarType::NAME; \
  };
SIMT_ELEMENT(uint8_t, Byte) SIMT_ELEMENT(int8_t, Char) SIMT_ELEMENT(int16_t, Short)
SIMT_ELEMENT(int, Int) SIMT_ELEMENT(int64_t, Long) SIMT_ELEMENT(long long, Long)
SIMT_ELEMENT(Half, Half) SIMT_ELEMENT(float, Float) SIMT_ELEMENT(double, Double)
SIMT_ELEMENT(bool, Bool) SIMT_ELEMENT(BFloat16, BFloat16)
#undef SIMT_ELEMENT

struct Device {
  DeviceType kind;
  DeviceIndex number;
  Device(DeviceType kind, DeviceIndex number = -1) : kind(kind), number(number) {}
  Device(const char *name) : Device(std::string(name)) {}
  Device(const std::string &name)
      : kind(name.rfind("cuda", 0) == 0 ? DeviceType::CUDA : DeviceType::CPU), number(-1) {}
  DeviceType type() const { return kind; }
  DeviceIndex index() const { return number; }
  bool has_index() const { return number >= 0; }
  bool is_cuda() const { return kind == DeviceType::CUDA; }
  bool is_cpu() const { return kind == DeviceType::CPU; }
  std::string str() const { return is_cuda() ? "cuda:0" : "cpu"; }
  bool operator==(const Device &other) const { return kind == other.kind; }
  bool operator!=(const Device &other) const { return kind != other.kind; }
};
inline std::ostream &operator<<(std::ostream &out, const Device &d) { return out << d.str(); }
inline std::ostream &operator<<(std::ostream &out, DeviceType d) {
  return out << (d == DeviceType::CUDA ? "cuda" : "cpu");
}

// Elements that lie elsewhere, or, where it is made from a temporary, copies of them.
template <class T>
class ArrayRef {
 public:
  ArrayRef() = default;
  ArrayRef(const T *first, size_t count) : first_(first), count_(count) {}
  ArrayRef(const std::vector<T> &from) { keep(from); }
  ArrayRef(std::initializer_list<T> from) { keep(std::vector<T>(from)); }
  template <class U, class = std::enable_if_t<std::is_convertible_v<U, T> && !std::is_same_v<U, T>>>
  ArrayRef(std::initializer_list<U> from) { keep(std::vector<T>(from.begin(), from.end())); }
  template <class U, class = std::enable_if_t<std::is_convertible_v<U, T> && !std::is_same_v<U, T>>,
            class = void>
  ArrayRef(const std::vector<U> &from) { keep(std::vector<T>(from.begin(), from.end())); }
  template <size_t N>
  ArrayRef(const std::array<T, N> &from) { keep(std::vector<T>(from.begin(), from.end())); }
  ArrayRef(const T &one) { keep(std::vector<T>(1, one)); }

  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  const T *data() const { return first_; }
  const T *begin() const { return first_; }
  const T *end() const { return first_ + count_; }
  const T &front() const { return at(0); }
  const T &back() const { return at(count_ - 1); }
  const T &operator[](size_t i) const { return at(i); }
  const T &at(size_t i) const {
    if (i >= count_) throw IndexError("ArrayRef: invalid index");
    return first_[i];
  }
  std::vector<T> vec() const { return std::vector<T>(begin(), end()); }
  ArrayRef slice(size_t from, size_t count) const {
    return ArrayRef(std::vector<T>(first_ + from, first_ + from + count));
  }
  ArrayRef slice(size_t from) const { return slice(from, count_ - from); }
  bool equals(ArrayRef other) const { return vec() == other.vec(); }
  bool operator==(ArrayRef other) const { return equals(other); }
  bool operator!=(ArrayRef other) const { return !equals(other); }
  operator std::vector<T>() const { return vec(); }

 private:
  const T *first_ = nullptr;
  size_t count_ = 0;
  std::shared_ptr<std::vector<T>> own_;
  void keep(std::vector<T> from) {
    own_ = std::make_shared<std::vector<T>>(std::move(from));
    first_ = own_->data();
    count_ = own_->size();
  }
};
template <class T>
std::ostream &operator<<(std::ostream &out, const ArrayRef<T> &list) {
  out << "[";
  for (size_t i = 0; i < list.size(); ++i) out << (i ? ", " : "") << list[i];
  return out << "]";
}
using IntArrayRef = ArrayRef<int64_t>;
using OptionalIntArrayRef = std::optional<IntArrayRef>;

struct Scalar {
  double real = 0;
  int64_t whole = 0;
  bool integral = false, boolean = false;
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Scalar(T v) : real(static_cast<double>(v)), whole(static_cast<int64_t>(v)),
                integral(std::is_integral_v<T>), boolean(std::is_same_v<T, bool>) {}
  Scalar(Half v) : Scalar(static_cast<float>(v)) {}
  Scalar(BFloat16 v) : Scalar(static_cast<float>(v)) {}
  template <class T>
  T to() const { return integral ? T(whole) : T(real); }
  double toDouble() const { return to<double>(); }
  float toFloat() const { return to<float>(); }
  int64_t toLong() const { return to<int64_t>(); }
  int toInt() const { return to<int>(); }
  bool isIntegral(bool = false) const { return integral; }
  bool isFloatingPoint() const { return !integral; }
};

struct TensorOptions {
  ScalarType type = ScalarType::Float;
  Device place = Device(DeviceType::CPU);
  bool typed = false;
  TensorOptions() = default;
  TensorOptions(ScalarType type) : type(type), typed(true) {}
  TensorOptions(Device place) : place(place) {}
  TensorOptions(DeviceType place) : place(place) {}
  TensorOptions(Layout) {}
  TensorOptions dtype(ScalarType t) const {
    TensorOptions copy = *this;
    copy.type = t, copy.typed = true;
    return copy;
  }
  template <class T>
  TensorOptions dtype() const { return dtype(CppTypeToScalarType<T>::value); }
  ScalarType dtype() const { return type; }
  TensorOptions device(Device d) const {
    TensorOptions copy = *this;
    copy.place = d;
    return copy;
  }
  TensorOptions device(DeviceType d, int = 0) const { return device(Device(d)); }
  Device device() const { return place; }
  TensorOptions requires_grad(bool = true) const { return *this; }
  TensorOptions layout(Layout) const { return *this; }
  TensorOptions pinned_memory(bool) const { return *this; }
  TensorOptions memory_format(MemoryFormat) const { return *this; }
};

}  // namespace c10
