// SPDX-License-Identifier: Apache-2.0
// From a program counter to a line of the candidate's file, by the DWARF 4 line program that lines.ld
// has put into the object (DWARF Debugging Information Format 4, section 6.2). The table is the
// candidate's memory: every read is bounded, and what is not in order gives no line.
#include <cstdint>
#include <cstring>

#include "modules.h"
#include "report.h"

namespace simt {

namespace {

class Reader {
 public:
  Reader(const char *at, const char *end) : at_(at), end_(end) {}
  bool done() const { return at_ >= end_; }
  const char *where() const { return at_; }
  void skip(uint64_t n) { at_ = n > static_cast<uint64_t>(end_ - at_) ? end_ : at_ + n; }
  template <class T>
  T get() {
    T value{};
    if (static_cast<size_t>(end_ - at_) >= sizeof value) std::memcpy(&value, at_, sizeof value);
    skip(sizeof value);
    return value;
  }
  uint64_t leb() {
    uint64_t value = 0;
    for (int shift = 0; !done(); shift += 7) {
      const uint8_t byte = get<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80)) break;
    }
    return value;
  }
  int64_t signed_leb() {
    uint64_t value = 0;
    int shift = 0;
    uint8_t byte = 0x80;
    while (!done() && byte & 0x80) {
      byte = get<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
    }
    if (shift < 64 && byte & 0x40) value |= ~uint64_t{0} << shift;
    return static_cast<int64_t>(value);
  }
  const char *text() {
    const char *start = at_;
    while (!done() && *at_) ++at_;
    if (done()) return "";
    ++at_;
    return start;
  }

 private:
  const char *at_, *end_;
};

// Kernels are in files like kernel.cu; what has no such name is one of our headers.
bool source_file(const char *name) {
  const char *dot = std::strrchr(name, '.');
  if (!dot) return false;
  for (const char *ending : {".cu", ".cpp", ".metal", ".cc", ".py"})
    if (std::strcmp(dot, ending) == 0) return true;
  return false;
}

struct Row {
  uint64_t address = 0, file = 1;
  int64_t line = 1;
};

// One unit: its header, then its program, looking for the last row of a source file at or before
// the wanted address within the sequence that contains it.
class Unit {
 public:
  Unit(Reader body, uint64_t wanted) : body_(body), wanted_(wanted) {}

  int find() {
    const int version = body_.get<uint16_t>();
    if (version < 2 || version > 4) return 0;
    const uint32_t header = body_.get<uint32_t>();
    Reader program = body_;
    program.skip(header);
    smallest_ = body_.get<uint8_t>();
    if (version == 4) body_.skip(1);
    body_.skip(1);
    base_ = body_.get<int8_t>();
    range_ = body_.get<uint8_t>();
    opcodes_ = body_.get<uint8_t>();
    for (int i = 1; i < opcodes_ && i < 64; ++i) lengths_[i] = body_.get<uint8_t>();
    while (!body_.done() && *body_.text()) continue;
    for (files_ = 1; !body_.done() && files_ < 256; ++files_) {
      const char *name = body_.text();
      if (!*name) break;
      source_[files_] = source_file(name);
      for (int i = 0; i < 3; ++i) body_.leb();
    }
    return range_ && opcodes_ && opcodes_ < 64 ? run(program) : 0;
  }

 private:
  void emit() {
    if (row_.address > wanted_) past_ = any_;
    any_ = true;
    if (row_.address <= wanted_ && row_.file < 256 && source_[row_.file] && row_.line > 0)
      found_ = static_cast<int>(row_.line);
  }
  void advance(uint64_t by) { row_.address += by * smallest_; }

  // Returns whether a sequence has ended.
  bool extended(Reader &program) {
    const uint64_t length = program.leb();
    Reader operand = program;
    program.skip(length);
    const int code = operand.get<uint8_t>();
    if (code == 2) row_.address = operand.get<uint64_t>();
    return code == 1;
  }

  void standard(Reader &program, int code) {
    switch (code) {
      case 1: emit(); break;
      case 2: advance(program.leb()); break;
      case 3: row_.line += program.signed_leb(); break;
      case 4: row_.file = program.leb(); break;
      case 5: program.leb(); break;
      case 8: advance(static_cast<uint64_t>(255 - opcodes_) / range_); break;
      case 9: row_.address += program.get<uint16_t>(); break;
      default:
        for (int i = 0; i < lengths_[code]; ++i) program.leb();
    }
  }

  int run(Reader program) {
    while (!program.done()) {
      const int code = program.get<uint8_t>();
      if (code >= opcodes_) {
        advance(static_cast<uint64_t>((code - opcodes_) / range_));
        row_.line += base_ + (code - opcodes_) % range_;
        emit();
      } else if (code) {
        standard(program, code);
      } else if (extended(program)) {
        emit();
        if (past_ && found_) return found_;
        row_ = Row(), found_ = 0, past_ = any_ = false;
      }
    }
    return 0;
  }

  Reader body_;
  uint64_t wanted_;
  Row row_;
  uint64_t smallest_ = 1;
  int base_ = 0, range_ = 0, opcodes_ = 0, files_ = 0, found_ = 0;
  bool past_ = false, any_ = false;
  uint8_t lengths_[64] = {};
  bool source_[256] = {};
};

}  // namespace

int source_line(const void *pc) {
  const Module *module = module_of(pc);
  if (!module || !module->lines[0] || module->lines[1] <= module->lines[0]) return 0;
  if (reinterpret_cast<uintptr_t>(module->lines[1]) > module->high) return 0;
  const uint64_t wanted = reinterpret_cast<uintptr_t>(pc) - module->base;
  Reader table(module->lines[0], module->lines[1]);
  while (!table.done()) {
    const uint32_t length = table.get<uint32_t>();
    if (length == 0) continue;  // before the first unit: lines.ld
    if (length >= 0xfffffff0) return 0;
    const char *start = table.where();
    table.skip(length);
    if (const int line = Unit(Reader(start, table.where()), wanted).find()) return line;
  }
  return 0;
}

}  // namespace simt
