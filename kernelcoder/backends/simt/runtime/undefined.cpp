// SPDX-License-Identifier: Apache-2.0
// The callbacks of -fsanitize=undefined, in kernels only. Names and layouts of the arguments are
// GCC's and LLVM's (ubsan_handlers.h of compiler-rt). What no device forgives ends the process; what
// C++ leaves undefined and devices define is a remark.
#include <cstdint>
#include <cstring>

#include "report.h"
#include "state.h"

namespace {

struct Location {
  const char *file;
  uint32_t line, column;
};
struct Type {
  uint16_t kind, info;
  char name[1];  // in quotes
};
struct Mismatch {
  Location where;
  const Type *type;
  unsigned char alignment, check;
};
struct Typed {
  Location where;
  const Type *type, *other;
};

simt::Line &place(simt::Line &line, const Location &where, const Type *type) {
  if (where.line) line.put("line", static_cast<long>(where.line));
  if (type) {
    char name[64];
    std::strncpy(name, type->name[0] == '\'' ? type->name + 1 : type->name, sizeof name - 1);
    name[sizeof name - 1] = 0;
    if (char *quote = std::strrchr(name, '\'')) *quote = 0;
    line.put("type", name);
  }
  return line.here();
}

void defect(const char *kind, const Location &where, const Type *type) {
  if (!simt_tls.in_kernel) return;
  simt::Line line(kind);
  place(line, where, type).die();
}

void remark(const char *kind, const Location &where, const Type *type) {
  if (!simt_tls.in_kernel) return;
  simt::Line line(kind, true);
  if (line.once(where.line)) place(line, where, type).send();
}

}  // namespace

extern "C" {

void __ubsan_handle_type_mismatch_v1(const Mismatch *data, uintptr_t at) {
  defect(at ? "misaligned" : "bad-address", data->where, data->type);
}
void __ubsan_handle_out_of_bounds(const Typed *data, uintptr_t index) {
  if (!simt_tls.in_kernel) return;
  simt::Line line("index");
  line.put("offset", static_cast<long>(static_cast<int32_t>(index)));
  place(line, data->where, data->type).die();
}
void __ubsan_handle_divrem_overflow(const Typed *data, uintptr_t, uintptr_t divisor) {
  if (divisor == 0)
    defect("divide-by-zero", data->where, data->type);
  else
    remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_builtin_unreachable(const Typed *data) {
  defect("trap", data->where, nullptr);
}
void __ubsan_handle_missing_return(const Typed *data) { defect("trap", data->where, nullptr); }
void __ubsan_handle_shift_out_of_bounds(const Typed *data, uintptr_t, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_float_cast_overflow(const Typed *data, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_add_overflow(const Typed *data, uintptr_t, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_sub_overflow(const Typed *data, uintptr_t, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_mul_overflow(const Typed *data, uintptr_t, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_negate_overflow(const Typed *data, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_load_invalid_value(const Typed *data, uintptr_t) {
  remark("arithmetic", data->where, data->type);
}
void __ubsan_handle_pointer_overflow(const Location *, uintptr_t, uintptr_t) {}
void __ubsan_handle_nonnull_arg(const Location *) {}
void __ubsan_handle_vla_bound_not_positive(const Location *, uintptr_t) {}
}
