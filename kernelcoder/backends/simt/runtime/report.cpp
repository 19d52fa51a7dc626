// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>

#include "state.h"

namespace simt {

enum : int { EXIT_DEFECT = 92, MOST_NOTES = 64 };

static bool ordinary(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c && std::strchr("_.:<>,()-", c));
}

void Line::add(const char *text, size_t most) {
  for (size_t i = 0; i < most && text[i] && length_ + 2 < sizeof text_; ++i)
    text_[length_++] = text[i];
}

Line::Line(const char *kind, bool note) : kind_(kind), note_(note) {
  add(note ? "simt: note kind=" : "simt: ", 80);
  add(kind, 32);
}

Line &Line::put(const char *key, const char *value) {
  char clean[81];
  size_t n = 0;
  for (; n < 80 && value && value[n]; ++n) clean[n] = ordinary(value[n]) ? value[n] : '_';
  clean[n] = 0;
  if (length_ + n + std::strlen(key) + 4 > sizeof text_) return *this;
  add(" ", 1), add(key, 24), add("=", 1), add(n ? clean : "-", 80);
  return *this;
}

Line &Line::put(const char *key, long value) {
  char text[32];
  std::snprintf(text, sizeof text, "%ld", value);
  return put(key, text);
}

Line &Line::put_hex(const char *key, unsigned value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return put(key, text);
}

Line &Line::put(const char *key, u3 value) {
  char text[64];
  std::snprintf(text, sizeof text, "%u,%u,%u", value.x, value.y, value.z);
  return put(key, text);
}

Line &Line::whose(const char *space, const char *name) {
  return put(space[0] == 'g' ? "arg" : "var", name);
}

Line &Line::here() {
  if (!simt_tls.in_kernel) return *this;
  const LaunchCfg *config = current_launch.config;
  if (config && config->name) put("kernel", config->name);
  return put("block", simt_tls.bid).put("thread", simt_tls.tid);
}

Line &Line::at(const void *pc) {
  const int line = pc ? source_line(pc) : 0;
  return line ? put("line", line) : *this;
}

// A fixed table instead of a set: remarks may come from several OS threads.
bool Line::once(long number) {
  static std::atomic<uint64_t> seen[MOST_NOTES];
  uint64_t key = 1469598103934665603ull;  // FNV-1a
  for (const char *c = kind_; *c; ++c) key = (key ^ static_cast<unsigned char>(*c)) * 1099511628211ull;
  key = mixed(key, static_cast<uint64_t>(number));
  for (auto &entry : seen) {
    uint64_t found = 0;
    if (entry.compare_exchange_strong(found, key)) return true;
    if (found == key) return false;
  }
  return false;
}

void Line::send() {
  text_[length_] = '\n';
  for (size_t done = 0; done <= length_;) {
    const ssize_t wrote = write(2, text_ + done, length_ + 1 - done);
    if (wrote <= 0) return;
    done += static_cast<size_t>(wrote);
  }
}

void Line::die() {
  send();
  _exit(EXIT_DEFECT);
}

void note_exited(int number, int live, int all) {
  Line line("barrier-after-exit", true);
  if (line.once(number))
    line.put("line", number).put("lanes", live).put("limit", all).here().send();
}

}  // namespace simt

using namespace simt;

extern "C" void simt_warn(const char *kind, int line, const char *detail) {
  Line note(kind, true);
  if (note.once(line)) note.put("line", line).put("detail", detail).here().send();
}

extern "C" void simt_die(const char *kind, int line, const char *detail) {
  Line defect(kind);
  if (line) defect.put("line", line);
  defect.put("detail", detail).here().die();
}
