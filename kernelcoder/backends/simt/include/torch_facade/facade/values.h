// SPDX-License-Identifier: Apache-2.0
// Values on their way between C++ and Python, and operations that Python's PyTorch does for us:
// cuda_child/values.py has the same structures.
#pragma once
#include "views.h"

namespace at {

enum Tag : int32_t {
  NONE, WHOLE, REAL, TRUTH, TENSOR, WHOLES, TEXT, LIST, TYPE, REALS
};
struct Value {
  int32_t tag, count;
  int64_t whole;
  double real;
  void *at;  // TENSOR: View; WHOLES: int64_t; REALS: double; TEXT: char; LIST: Value
};
// Python: does the operation and describes its result; 0, or 1 if it raised.
typedef int (*Operator)(const char *name, int count, const Value *arguments, Value *result);

// One value with all that it points at.
struct Argument {
  Value value{NONE, 0, 0, 0, nullptr};
  std::vector<int64_t> wholes;
  std::string text;
  Tensor tensor;
  View view{};
  std::vector<Argument> parts;
  std::vector<Value> list;

  Argument() = default;
  Argument(std::nullopt_t) {}
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Argument(T v) {
    value.tag = std::is_same_v<T, bool> ? TRUTH : std::is_integral_v<T> ? WHOLE : REAL;
    value.whole = int64_t(v), value.real = double(v);
  }
  Argument(Scalar v) {
    value.tag = v.boolean ? TRUTH : v.integral ? WHOLE : REAL;
    value.whole = v.whole, value.real = v.real;
  }
  Argument(const Tensor &v) : tensor(v) { value.tag = v.defined() ? TENSOR : NONE; }
  Argument(IntArrayRef v) : wholes(v.vec()) { value.tag = WHOLES; }
  Argument(const std::vector<int64_t> &v) : wholes(v) { value.tag = WHOLES; }
  Argument(const std::string &v) : text(v) { value.tag = TEXT; }
  Argument(const char *v) : text(v) { value.tag = TEXT; }
  Argument(const std::vector<Tensor> &v) : parts(v.begin(), v.end()) { value.tag = LIST; }
  Argument(TensorList v) : parts(v.begin(), v.end()) { value.tag = LIST; }
  Argument(ScalarType v) { value.tag = TYPE, value.whole = int64_t(v); }
  Argument(TensorOptions v) : Argument(v.type) {}
  Argument(MemoryFormat) {}
  template <class T>
  Argument(const std::optional<T> &v) : Argument(v ? Argument(*v) : Argument()) {}

  const Value &raw() {
    if (value.tag == TENSOR) view = tensor.impl->view(), value.at = &view;
    if (value.tag == WHOLES) value.at = wholes.data(), value.count = int32_t(wholes.size());
    if (value.tag == TEXT) value.at = text.data(), value.count = int32_t(text.size());
    if (value.tag == LIST) {
      list.clear();
      for (Argument &part : parts) list.push_back(part.raw());
      value.at = list.data(), value.count = int32_t(list.size());
    }
    return value;
  }
};

struct Link {
  Operator operation = nullptr;
  std::vector<std::pair<View, std::shared_ptr<Storage>>> given;  // storages of the running call
};
inline Link &link() {
  static Link one;
  return one;
}

// A tensor over the storage that is meant, or, if `copied`, over a copy of its elements.
inline Tensor tensor_of(const View &view, bool copied) {
  const std::vector<int64_t> sizes(view.sizes, view.sizes + view.dims);
  if (copied) {  // Python has made it contiguous
    Tensor made = allocate(sizes, ScalarType(view.type), "result");
    if (made.nbytes()) simt_copy(made.impl->data, view.data, made.nbytes(), 0);
    return made;
  }
  auto impl = std::make_shared<Impl>();
  for (auto &[known, storage] : link().given)
    if (known.base == view.base) impl->storage = storage;
  if (!impl->storage) {
    impl->storage = std::make_shared<Storage>(view.base, view.bytes, false);
    link().given.emplace_back(view, impl->storage);
  }
  impl->sizes = sizes, impl->strides.assign(view.strides, view.strides + view.dims);
  impl->data = static_cast<char *>(view.data), impl->type = ScalarType(view.type);
  return Tensor(impl);
}

// Of `name`, done in Python. An operation whose name ends in "_" changes its first argument.
inline std::vector<Tensor> operate(const char *name, std::vector<Argument> arguments) {
  if (!link().operation) throw Error(std::string(name) + " has no one to do it");
  std::vector<Value> values;
  for (Argument &argument : arguments) values.push_back(argument.raw());
  Value result{};
  if (link().operation(name, int(values.size()), values.data(), &result))
    throw Error(std::string(name) + " failed");
  const size_t length = std::string_view(name).size();
  if (length && name[length - 1] == '_') return {arguments.at(0).tensor};
  std::vector<Tensor> found;
  const auto *list = static_cast<const Value *>(result.at);
  if (result.tag == TENSOR) found.push_back(tensor_of(*static_cast<View *>(result.at), true));
  for (int i = 0; result.tag == LIST && i < result.count; ++i)
    found.push_back(tensor_of(*static_cast<View *>(list[i].at), true));
  if (found.empty()) throw Error(std::string(name) + " gives no tensor");
  return found;
}
template <class... A>
inline Tensor operation(const char *name, A &&...arguments) {
  return operate(name, {Argument(std::forward<A>(arguments))...}).at(0);
}
template <class... A>
inline Tensor Tensor::operation(const char *name, A &&...arguments) const {
  return at::operation(name, *this, std::forward<A>(arguments)...);
}
#define SIMT_METHOD(NAME)                                                                  \
  inline Tensor Tensor::NAME(IntArrayRef list) const { return operation(#NAME, list); }     \
  inline Tensor Tensor::NAME(IntArrayRef list, bool flag) const {                           \
    return operation(#NAME, list, flag);                                                    \
  }
SIMT_OPERATIONS(SIMT_METHOD)
#undef SIMT_METHOD
inline Tensor Tensor::to(ScalarType type, bool, bool) const {
  return type == self().type ? *this : operation("to", type);
}
inline Tensor Tensor::max(const Tensor &other) const { return operation("maximum", other); }
inline Tensor Tensor::min(const Tensor &other) const { return operation("minimum", other); }
inline std::tuple<Tensor, Tensor> Tensor::max(int64_t d, bool keep) const {
  const std::vector<Tensor> found = operate("max", {*this, d, keep});
  return {found.at(0), found.at(1)};
}
inline std::tuple<Tensor, Tensor> Tensor::min(int64_t d, bool keep) const {
  const std::vector<Tensor> found = operate("min", {*this, d, keep});
  return {found.at(0), found.at(1)};
}
inline std::vector<Tensor> Tensor::split(int64_t size, int64_t d) const {
  std::vector<Tensor> found;
  for (int64_t at = 0; at < this->size(d); at += size)
    found.push_back(slice(d, at, std::min(at + size, this->size(d))));
  return found;
}
inline std::vector<Tensor> Tensor::chunk(int64_t parts, int64_t d) const {
  return split(std::max<int64_t>(1, (size(d) + parts - 1) / parts), d);
}
inline std::vector<Tensor> Tensor::unbind(int64_t d) const {
  std::vector<Tensor> found;
  for (int64_t i = 0; i < size(d); ++i) found.push_back(select(d, i));
  return found;
}

}  // namespace at
