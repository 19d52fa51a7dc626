// SPDX-License-Identifier: Apache-2.0
// What was launched, how defects are reported, and the shadow that finds races between programs.
//
// A defect is one line to the second descriptor, `simt: KIND key=value ...`, and the end of the
// process with code 92; verify/defects.py reads it. Values are numbers (places in the grid as
// x,y,z) and names of letters, digits and `_`.
#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ttir_numbers.h"

// The caller's side of this is launch.py. An argument is a pointer with the memory it may touch,
// an integer, or the bits of a double.
struct Argument {
  int64_t value, low, high;
};
struct Launch {
  int32_t grid[3];
  uint32_t seed;   // order of the programs: 0 forward, 1 backward, else shuffled
  uint32_t races;  // whether to look for races
  uint32_t count;
  const Argument *arguments;
};
struct Kernel {
  const char *name;
  const char *const *names;    // of the arguments
  const unsigned char *sizes;  // bytes of what each points to; 0: no pointer
  int count;
  bool in_order;  // programs may wait for earlier ones
};

enum { DEFECT = 92 };
static const Kernel *running;
static const Launch *launched;
static int64_t current;  // program

static inline void place(char *text, size_t room, int64_t program) {
  const int32_t *grid = launched->grid;
  snprintf(text, room, "%d,%d,%d", (int)(program % grid[0]), (int)(program / grid[0] % grid[1]),
           (int)(program / grid[0] / grid[1]));
}

[[noreturn, gnu::cold, gnu::noinline, gnu::format(printf, 1, 2)]] static void defect(
    const char *form, ...) {
  char text[512], at[64];
  va_list list;
  va_start(list, form);
  int length = vsnprintf(text, sizeof text - 128, form, list);
  va_end(list);
  if (length > (int)sizeof text - 129) length = (int)sizeof text - 129;
  place(at, sizeof at, current);
  length += snprintf(text + length, 128, " kernel=%.64s program=%s\n", running->name, at);
  for (int done = 0; done < length;) {
    const ssize_t n = write(2, text + done, (size_t)(length - done));
    if (n <= 0) break;
    done += (int)n;
  }
  _exit(DEFECT);
}

[[noreturn, gnu::cold, gnu::noinline]] static void out_of_bounds(int argument, int64_t pointer,
                                                                 int size, int line, int access) {
  const Argument &a = launched->arguments[argument];
  const bool far = pointer < a.low || pointer + size > a.high;
  const char *kind = access ? "out-of-bounds-write" : "out-of-bounds-read";
  defect("simt: %s arg=%.64s bytes=%d offset=%lld size=%lld line=%d", far ? kind : "misaligned",
         running->names[argument], size, (long long)(pointer - a.low), (long long)(a.high - a.low),
         line);
}
[[noreturn, gnu::cold, gnu::noinline]] static void out_of_gather(int64_t at, int size, int line) {
  defect("simt: index offset=%lld size=%d line=%d", (long long)at, size, line);
}
[[noreturn, gnu::cold, gnu::noinline]] static void assertion(int line) {
  defect("simt: trap line=%d", line);
}

// Whether an access leaves its memory or, where pointers were cast, is not aligned to its size.
template <int SIZE, bool CAST>
static inline int outside(int64_t pointer, int64_t low, int64_t extent) {
  const int64_t room = extent - SIZE + 1;
  const int far = (uint64_t)(pointer - low) >= (uint64_t)(room > 0 ? room : 0);
  return CAST ? far | ((pointer & (SIZE - 1)) != 0) : far;
}
static inline int64_t inside(int64_t at, int size, int line) {
  if (__builtin_expect((uint64_t)at >= (uint64_t)size, 0)) out_of_gather(at, size, line);
  return at;
}

// Who wrote and who read each element last. Programs run one after another, so what matters is
// only that two of them touch the same place, one of them writing something new, and that no atomic
// orders them. An atomic whose result is used acquires from every program that has done any atomic:
// coarser than the memory model, so that it accuses nobody wrongly.
class Shadow {
 public:
  bool open(const Launch &launch, const Kernel &kernel) {
    int64_t total = (int64_t)launch.grid[0] * launch.grid[1] * launch.grid[2];
    for (int i = 0; i < kernel.count; ++i) {
      const Argument &a = launch.arguments[i];
      if (kernel.sizes[i] && a.high > a.low) add(a.low, a.high, kernel.sizes[i]);
    }
    for (int i = 0; i < regions_; ++i) {
      offset_[i] = elements_;
      elements_ += (high_[i] - low_[i] + grain_[i] - 1) / grain_[i];
    }
    bytes_ = (size_t)(3 * 4 * elements_ + total);
    if (bytes_ > MOST) return false;
    void *got = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) return false;
    writer_ = (uint32_t *)got;
    reader_ = writer_ + elements_;
    stamp_ = reader_ + elements_;
    released_ = (uint8_t *)(stamp_ + elements_);
    return true;
  }
  void close() { munmap(writer_, bytes_); }
  void begin(int64_t program) { me_ = (uint32_t)program + 1, acquired_ = false; }
  void store() { ++serial_; }

  void read(int64_t pointer, int size, int line) {
    int64_t at, count;
    if (!find(pointer, size, &at, &count)) return;
    for (int64_t g = at; g < at + count; ++g) {
      if (foreign(writer_[g])) race("write-read", writer_[g], pointer, size, line);
      reader_[g] = reader_[g] == 0 || reader_[g] == me_ ? me_ : MANY;
    }
  }
  void write(int64_t pointer, const void *value, int size, int line) {
    int64_t at, count;
    if (!find(pointer, size, &at, &count)) return;
    const bool same = memcmp((const void *)pointer, value, (size_t)size) == 0;
    for (int64_t g = at; g < at + count; ++g) {
      if (!same) {
        if (stamp_[g] == serial_ && writer_[g] == me_) race(nullptr, me_, pointer, size, line);
        if (foreign(writer_[g])) race("write-write", writer_[g], pointer, size, line);
        if (foreign(reader_[g])) race("read-write", reader_[g], pointer, size, line);
      }
      writer_[g] = me_;
      stamp_[g] = serial_;
    }
  }
  void atomic(int64_t pointer, int size, int line, bool used) {
    int64_t at, count;
    acquired_ |= used;
    released_[me_ - 1] = 1;
    if (!find(pointer, size, &at, &count)) return;
    for (int64_t g = at; g < at + count; ++g) {
      if (!(writer_[g] & ATOMIC) && foreign(writer_[g]))
        race("write-atomic", writer_[g], pointer, size, line);
      if (foreign(reader_[g])) race("read-atomic", reader_[g], pointer, size, line);
      writer_[g] = me_ | ATOMIC;
    }
  }

 private:
  static constexpr uint32_t ATOMIC = 1u << 31, MANY = ATOMIC - 1;
  static constexpr size_t MOST = (size_t)1 << 30;
  enum { REGIONS = 64 };

  // Arguments that overlap are one region.
  void add(int64_t low, int64_t high, int grain) {
    for (int i = 0; i < regions_;) {
      if (low < high_[i] && low_[i] < high) {
        low = low < low_[i] ? low : low_[i];
        high = high > high_[i] ? high : high_[i];
        grain = grain < grain_[i] ? grain : grain_[i];
        --regions_;
        low_[i] = low_[regions_], high_[i] = high_[regions_], grain_[i] = grain_[regions_];
        i = 0;
      } else {
        ++i;
      }
    }
    if (regions_ < REGIONS)
      low_[regions_] = low, high_[regions_] = high, grain_[regions_] = grain, ++regions_;
  }
  bool find(int64_t pointer, int size, int64_t *at, int64_t *count) const {
    for (int i = 0; i < regions_; ++i) {
      if (pointer < low_[i] || pointer >= high_[i]) continue;
      *at = offset_[i] + (pointer - low_[i]) / grain_[i];
      *count = size > grain_[i] ? size / grain_[i] : 1;
      return true;
    }
    return false;
  }
  bool foreign(uint32_t who) const {
    const uint32_t program = who & ~ATOMIC;
    if (program == 0 || program == me_) return false;
    return !(acquired_ && (program == MANY || released_[program - 1]));
  }
  // Two programs, or without a kind two lanes of one store.
  [[noreturn, gnu::cold, gnu::noinline]] void race(const char *kind, uint32_t who, int64_t pointer,
                                                   int size, int line) const {
    int argument = 0;
    while (argument + 1 < running->count && !(running->sizes[argument] && holds(argument, pointer)))
      ++argument;
    const char *name = running->names[argument];
    const long long offset = pointer - launched->arguments[argument].low;
    if (!kind)
      defect("simt: duplicate-write arg=%.64s offset=%lld bytes=%d line=%d", name, offset, size, line);
    char other[64] = "several";
    if ((who & ~ATOMIC) != MANY) place(other, sizeof other, (int64_t)(who & ~ATOMIC) - 1);
    defect("simt: race type=%s arg=%.64s offset=%lld bytes=%d line=%d other=%s", kind, name, offset,
           size, line, other);
  }
  static bool holds(int argument, int64_t pointer) {
    const Argument &a = launched->arguments[argument];
    return a.low <= pointer && pointer < a.high;
  }

  int64_t low_[REGIONS], high_[REGIONS], offset_[REGIONS], elements_ = 0;
  int grain_[REGIONS], regions_ = 0;
  uint32_t me_ = 0, serial_ = 0, *writer_ = nullptr, *reader_ = nullptr, *stamp_ = nullptr;
  uint8_t *released_ = nullptr;
  size_t bytes_ = 0;
  bool acquired_ = false;
};
