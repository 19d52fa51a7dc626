// SPDX-License-Identifier: Apache-2.0
// What binds C++ functions to Python: PYBIND11_MODULE, m.def and py::arg. The module becomes one C
// function (SIMT_SYMBOL, which the builder defines) that names its functions and calls them.
#pragma once
#include "convert.h"
#include "cuda.h"

namespace simt_module {

struct Named {
  std::string name;
  std::optional<Argument> otherwise;
  explicit Named(const char *name) : name(name) {}
  template <class T>
  Named operator=(T &&value) const {
    Named copy = *this;
    copy.otherwise = Argument(std::forward<T>(value));
    return copy;
  }
  Named noconvert(bool = true) const { return *this; }
  Named none(bool = true) const { return *this; }
};
struct None {
  operator Argument() const { return Argument(); }
};

struct Function {
  std::string name;
  size_t arity;
  std::vector<Named> parameters;
  std::function<Argument(const std::vector<Value> &)> call;
};

// cuda_child/values.py has the same structure.
struct Request {
  int32_t command;  // 0: the name of function `index`; 1: call `name`
  int32_t index, count, reserved;
  const char *name;
  const Value *arguments;
  const char *const *keywords;  // of each argument, "" for one by position
  at::Operator operation;
  Value result;
  const char *text;  // the name that was asked for, or what went wrong
};
enum { FINE = 0, RUNTIME, TYPE, INDEX, VALUE, NO_MORE };

template <class F, class Indices>
struct Caller;
template <class R, class... A, size_t... I>
struct Caller<R(A...), std::index_sequence<I...>> {
  static Argument call(const std::function<R(A...)> &function, const std::vector<Value> &values) {
    // Braces: pybind11 converts from left to right.
    std::tuple<std::decay_t<A>...> ready{From<std::decay_t<A>>::get(values[I])...};
    if constexpr (std::is_void_v<R>) return function(std::get<I>(ready)...), Argument();
    else return boxed(std::decay_t<R>(function(std::get<I>(ready)...)));
  }
};

class Module {
 public:
  std::vector<Function> functions;

  struct Doc {
    template <class T>
    Doc &operator=(T &&) { return *this; }
  };
  Doc doc() { return {}; }
  template <class T>
  Doc attr(T &&) { return {}; }
  template <class F, class... X>
  Module &def(const char *name, F function, X &&...extra) {
    std::vector<Named> parameters;
    (add(parameters, extra), ...);
    define(name, std::function(function), std::move(parameters));
    return *this;
  }

 private:
  template <class T>
  static void add(std::vector<Named> &to, const T &extra) {
    if constexpr (std::is_same_v<T, Named>) to.push_back(extra);
  }
  template <class R, class... A>
  void define(const char *name, std::function<R(A...)> function, std::vector<Named> parameters) {
    functions.push_back({name, sizeof...(A), std::move(parameters),
                         [function](const std::vector<Value> &values) {
                           using Indices = std::index_sequence_for<A...>;
                           return Caller<R(A...), Indices>::call(function, values);
                         }});
  }
};

// Arguments in the order of the parameters, with what was left out.
inline std::vector<Value> ordered(Function &function, const Request &request) {
  std::vector<Value> values(function.arity);
  std::vector<bool> given(function.arity, false);
  for (int i = 0; i < request.count; ++i) {
    size_t at = size_t(i);
    if (const std::string keyword = request.keywords[i]; !keyword.empty()) {
      for (at = 0; at < function.parameters.size(); ++at)
        if (function.parameters[at].name == keyword) break;
      if (at == function.parameters.size()) at = function.arity;
    }
    if (at >= function.arity || given[at]) mismatch("another number of arguments, or other names,");
    values[at] = request.arguments[i], given[at] = true;
  }
  for (size_t at = 0; at < function.arity; ++at) {
    if (given[at]) continue;
    if (at >= function.parameters.size() || !function.parameters[at].otherwise)
      mismatch("one more argument");
    values[at] = function.parameters[at].otherwise->raw();
  }
  return values;
}

inline Argument dispatch(Module &module, const Request &request) {
  std::string problem = "no such function";
  for (Function &function : module.functions) {
    if (function.name != request.name) continue;
    try {
      return function.call(ordered(function, request));
    } catch (const Mismatch &error) {
      problem = error.what();
    }
  }
  throw Mismatch(problem);
}

inline int serve(Module &module, Request *request) {
  static std::string said;
  static Argument kept;
  request->text = "";
  if (request->command == 0) {
    if (size_t(request->index) >= module.functions.size()) return NO_MORE;
    request->text = module.functions[size_t(request->index)].name.c_str();
    return FINE;
  }
  at::link().operation = request->operation;
  at::link().given.clear();
  auto failed = [&](int code, const std::exception &error) {
    said = error.what();
    request->text = said.c_str();
    return code;
  };
  try {
    kept = dispatch(module, *request);
    request->result = kept.raw();
    return FINE;
  } catch (const Mismatch &error) {
    return failed(TYPE, error);
  } catch (const c10::IndexError &error) {
    return failed(INDEX, error);
  } catch (const std::invalid_argument &error) {
    return failed(VALUE, error);
  } catch (const std::exception &error) {
    return failed(RUNTIME, error);
  }
}

}  // namespace simt_module

namespace pybind11 {
using arg = simt_module::Named;
using none = simt_module::None;
using module_ = simt_module::Module;
using module = simt_module::Module;
struct gil_scoped_release {};
struct gil_scoped_acquire {};
template <class T>
struct call_guard {};
template <class... T>
inline std::tuple<std::decay_t<T>...> make_tuple(T &&...items) {
  return {std::forward<T>(items)...};
}
namespace literals {
inline arg operator""_a(const char *name, size_t) { return arg(name); }
}  // namespace literals
}  // namespace pybind11
namespace py = pybind11;

#define TORCH_EXTENSION_NAME extension
#define PYBIND11_MODULE(NAME, m)                                          \
  static void simt_define(::simt_module::Module &);                       \
  extern "C" int SIMT_SYMBOL(::simt_module::Request *request) {           \
    static ::simt_module::Module *module = [] {                           \
      auto *made = new ::simt_module::Module;                             \
      simt_define(*made);                                                 \
      return made;                                                        \
    }();                                                                  \
    return ::simt_module::serve(*module, request);                        \
  }                                                                       \
  static void simt_define(::simt_module::Module &m)
