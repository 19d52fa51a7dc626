// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <facade/module.h>

namespace c10 {
struct Range {
  struct Iterator {
    int64_t at;
    int64_t operator*() const { return at; }
    Iterator &operator++() { return ++at, *this; }
    bool operator!=(Iterator other) const { return at != other.at; }
  };
  int64_t from, to;
  Iterator begin() const { return {from}; }
  Iterator end() const { return {to > from ? to : from}; }
};
inline Range irange(int64_t to) { return {0, to}; }
inline Range irange(int64_t from, int64_t to) { return {from, to}; }
}  // namespace c10
