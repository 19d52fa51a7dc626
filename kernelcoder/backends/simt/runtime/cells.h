// SPDX-License-Identifier: Apache-2.0
// The bookkeeping of shadow.cpp: stamps of accesses, cells of bytes, and tables of cells.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace simt {

// Who accessed a byte and when: block (from 1) and thread, barriers its block had passed, and its own
// count of meetings with other lanes of its warp, in one word (0: nobody); and by which instruction.
// Blocks and counts wrap around, which in the small cases of a checked run does not happen.
struct Stamp {
  enum : uint32_t { BLOCKS = 0xfffff, BARRIERS = 0x3ffff };
  uint64_t word = 0;
  const void *pc = nullptr;
  static Stamp make(uint32_t block, unsigned thread, uint32_t barriers, uint32_t clock,
                    const void *pc) {
    return {uint64_t{block & BLOCKS} << 44 | uint64_t{thread} << 34 |
                uint64_t{barriers & BARRIERS} << 16 | (clock & 0xffff),
            pc};
  }
  explicit operator bool() const { return word != 0; }
  uint32_t block() const { return static_cast<uint32_t>(word >> 44); }
  unsigned thread() const { return word >> 34 & 0x3ff; }
  uint32_t barriers() const { return word >> 16 & BARRIERS; }
  uint32_t clock() const { return word & 0xffff; }
  bool same_thread(Stamp other) const { return word >> 34 == other.word >> 34; }
};

struct Cell {
  Stamp writer, atomic;          // the last plain and the last atomic write
  Stamp reader, earlier_reader;  // two distinct readers: one of them may be the next writer
  bool like(const Cell &o) const {
    return writer.word == o.writer.word && reader.word == o.reader.word &&
           earlier_reader.word == o.earlier_reader.word && atomic.word == o.atomic.word;
  }
};

// Cells of a stretch of memory, made in chunks when touched. A chunk of an older epoch is empty.
class Shadow {
 public:
  ~Shadow() {
    for (const auto &chunk : chunks_) made -= chunk != nullptr;
  }
  explicit Shadow(size_t bytes) : bytes_(bytes), chunks_((bytes + SIZE - 1) / SIZE) {}
  size_t bytes() const { return bytes_; }

  // The cells of [offset, offset + *n), where *n is cut back to what lies in one chunk; null where
  // there are too many already: from then on nothing new is watched.
  Cell *cells(size_t offset, uint64_t epoch, size_t *n) {
    auto &chunk = chunks_[offset / SIZE];
    if (*n > SIZE - offset % SIZE) *n = SIZE - offset % SIZE;
    if (!chunk) {
      if (made >= MOST) return nullptr;
      ++made;
      chunk = std::make_unique<Chunk>();
    }
    if (chunk->epoch != epoch) {
      for (Cell &cell : chunk->cells) cell = Cell();
      chunk->epoch = epoch;
    }
    return chunk->cells + offset % SIZE;
  }

  // Bytes with a defined value, tracked only where it is asked for.
  void track(bool defined) { defined_.assign((bytes_ + 7) / 8, defined ? 0xff : 0); }
  bool tracked() const { return !defined_.empty(); }
  bool defined(size_t offset) const {
    return defined_.empty() || (defined_[offset / 8] >> (offset % 8) & 1);
  }
  void define(size_t offset, bool value) {
    if (defined_.empty()) return;
    const auto bit = static_cast<uint8_t>(1u << (offset % 8));
    defined_[offset / 8] =
        static_cast<uint8_t>(value ? defined_[offset / 8] | bit : defined_[offset / 8] & ~bit);
  }

 private:
  enum : size_t { SIZE = 256, MOST = 1 << 14 };  // 256 MiB of cells in all
  static inline size_t made = 0;
  struct Chunk {
    uint64_t epoch = 0;
    Cell cells[SIZE];
  };
  size_t bytes_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<uint8_t> defined_;
};

// What each lane knows of the others of its warp: up to which of their meetings its own accesses
// come later (vector clocks, Lamport 1978 and Mattern 1989, for 32 lanes).
class Clocks {
 public:
  void reset() {
    for (auto &own : own_) own = 1;
    for (auto &row : known_)
      for (auto &entry : row) entry = 0;
  }
  uint32_t own(unsigned thread) const { return own_[thread]; }
  bool later(unsigned thread, Stamp other) const {
    return known_[thread][other.thread() % 32] >= other.clock();
  }
  void meet(unsigned base, uint32_t lanes) {
    uint16_t joined[32] = {};
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (!(lanes >> lane & 1)) continue;
      for (unsigned i = 0; i < 32; ++i)
        if (known_[base + lane][i] > joined[i]) joined[i] = known_[base + lane][i];
      joined[lane] = own_[base + lane]++;
    }
    for (unsigned lane = 0; lane < 32; ++lane)
      if (lanes >> lane & 1)
        for (unsigned i = 0; i < 32; ++i)
          if (joined[i] > known_[base + lane][i]) known_[base + lane][i] = joined[i];
  }

 private:
  uint16_t own_[1024], known_[1024][32];
};

}  // namespace simt
