// SPDX-License-Identifier: Apache-2.0
// Python's values as parameters of bound functions and back, after pybind11's rules: a float is no
// int, None is an empty optional or an undefined tensor, lists become vectors.
#pragma once
#include "values.h"

namespace simt_module {
using at::Argument;
using at::Tensor;
using at::Value;

struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] inline void mismatch(const char *wanted) {
  throw Mismatch(std::string("incompatible function arguments: ") + wanted + " is wanted");
}

template <class T, class = void>
struct From {
  static T get(const Value &) {
    static_assert(sizeof(T) == 0, "no Python value becomes this type of parameter");
  }
};
template <class T>
struct From<T *> {
  static T *get(const Value &) { mismatch("a pointer, which no tensor becomes,"); }
};
template <>
struct From<Tensor> {
  static Tensor get(const Value &v) {
    if (v.tag == at::NONE) return Tensor();
    if (v.tag != at::TENSOR) mismatch("a tensor");
    return at::tensor_of(*static_cast<const at::View *>(v.at), false);
  }
};
template <class T>
struct From<T, std::enable_if_t<std::is_arithmetic_v<T>>> {
  static T get(const Value &v) {
    if (v.tag == at::TENSOR) {  // Python would ask it for its number
      const c10::Scalar one = From<Tensor>::get(v).item();
      if (std::is_integral_v<T> && !one.integral) mismatch("an int");
      return one.to<T>();
    }
    if (v.tag == at::REAL && std::is_floating_point_v<T>) return T(v.real);
    if (v.tag == at::WHOLE || v.tag == at::TRUTH) return T(v.whole);
    mismatch(std::is_same_v<T, bool> ? "a bool" : std::is_integral_v<T> ? "an int" : "a float");
  }
};
template <>
struct From<c10::Scalar> {
  static c10::Scalar get(const Value &v) {
    if (v.tag == at::TRUTH) return c10::Scalar(v.whole != 0);
    if (v.tag == at::WHOLE) return c10::Scalar(v.whole);
    return c10::Scalar(From<double>::get(v));
  }
};
template <>
struct From<c10::ScalarType> {
  static c10::ScalarType get(const Value &v) {
    if (v.tag != at::TYPE) mismatch("a dtype");
    return c10::ScalarType(v.whole);
  }
};
template <>
struct From<std::string> {
  static std::string get(const Value &v) {
    if (v.tag != at::TEXT) mismatch("a str");
    return std::string(static_cast<const char *>(v.at), size_t(v.count));
  }
};
template <class T>
struct From<std::optional<T>> {
  static std::optional<T> get(const Value &v) {
    if (v.tag == at::NONE) return {};
    return From<T>::get(v);
  }
};
// A list comes packed if it holds only ints or only floats.
template <class T>
inline std::vector<T> list_of(const Value &v) {
  std::vector<T> found;
  for (int i = 0; i < v.count; ++i) {
    Value one{v.tag == at::WHOLES ? at::WHOLE : at::REAL, 0, 0, 0, nullptr};
    if (v.tag == at::WHOLES) one.whole = static_cast<const int64_t *>(v.at)[i];
    else if (v.tag == at::REALS) one.real = static_cast<const double *>(v.at)[i];
    else if (v.tag == at::LIST) one = static_cast<const Value *>(v.at)[i];
    else mismatch("a list");
    found.push_back(From<T>::get(one));
  }
  if (v.tag != at::WHOLES && v.tag != at::REALS && v.tag != at::LIST) mismatch("a list");
  return found;
}
template <class T>
struct From<std::vector<T>> {
  static std::vector<T> get(const Value &v) { return list_of<T>(v); }
};
template <class T>
struct From<c10::ArrayRef<T>> {
  static c10::ArrayRef<T> get(const Value &v) { return list_of<T>(v); }
};
template <class T, size_t N>
struct From<std::array<T, N>> {
  static std::array<T, N> get(const Value &v) {
    const std::vector<T> list = list_of<T>(v);
    if (list.size() != N) mismatch("a list of another length");
    std::array<T, N> found;
    std::copy(list.begin(), list.end(), found.begin());
    return found;
  }
};

// What a function returns, as one value or a list of them.
template <class T>
inline Argument boxed(const T &v) { return Argument(v); }
template <class T>
inline Argument listed(std::vector<Argument> parts) {
  Argument made;
  made.value.tag = at::LIST, made.value.whole = std::is_same_v<T, void>;  // a tuple?
  made.parts = std::move(parts);
  return made;
}
template <class T>
inline Argument boxed(const std::vector<T> &list) {
  std::vector<Argument> parts;
  for (const auto &one : list) parts.push_back(boxed(T(one)));
  return listed<T>(std::move(parts));
}
template <class... T>
inline Argument boxed(const std::tuple<T...> &items) {
  std::vector<Argument> parts;
  std::apply([&](const auto &...one) { (parts.push_back(boxed(one)), ...); }, items);
  return listed<void>(std::move(parts));
}
template <class A, class B>
inline Argument boxed(const std::pair<A, B> &items) {
  return boxed(std::make_tuple(items.first, items.second));
}
template <class T, size_t N>
inline Argument boxed(const std::array<T, N> &items) {
  return boxed(std::vector<T>(items.begin(), items.end()));
}

}  // namespace simt_module
