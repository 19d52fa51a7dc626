// SPDX-License-Identifier: Apache-2.0
// Which blocks of a launch come before the running one: those that released, by an atomic operation,
// something that it has acquired by one. Fences are taken for granted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace simt {

class BlockOrder {
 public:
  void launch(uint64_t blocks) {
    released_.clear();
    words_ = blocks > MOST_BLOCKS ? 0 : blocks / 64 + 1;
    unknown_ = false;
    begin();
  }
  void begin() { acquired_.assign(words_, 0); }
  bool acquired(uint32_t block) const {
    if (unknown_) return true;
    return block / 64 < acquired_.size() && (acquired_[block / 64] >> (block % 64) & 1);
  }
  // The running block does an atomic operation on what lies at `at`.
  void atomic(uintptr_t at, uint32_t block, bool releases) {
    if (unknown_) return;
    if (!words_ || (released_.size() >= MOST_PLACES && !released_.count(at))) {
      unknown_ = true;  // too much to keep: from here on nothing across blocks is called a race
      return;
    }
    auto &there = released_[at];
    if (there.empty()) there.assign(words_, 0);
    for (size_t i = 0; i < words_; ++i) acquired_[i] |= there[i];
    if (!releases) return;
    for (size_t i = 0; i < words_; ++i) there[i] |= acquired_[i];
    there[block / 64] |= uint64_t{1} << (block % 64);
  }

 private:
  enum : size_t { MOST_BLOCKS = 1 << 16, MOST_PLACES = 4096 };
  size_t words_ = 0;
  bool unknown_ = false;
  std::vector<uint64_t> acquired_;
  std::unordered_map<uintptr_t, std::vector<uint64_t>> released_;
};

}  // namespace simt
