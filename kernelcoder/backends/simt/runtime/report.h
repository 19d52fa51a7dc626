// SPDX-License-Identifier: Apache-2.0
// Diagnostics: one line each, `simt: KIND key=value ...` for a defect (which ends the process with
// exit code 92) and `simt: note kind=KIND ...` for a remark. Kinds and keys that the judge has words
// for are in verify/defects.py; it trusts nothing of the text.
#pragma once
#include <simt/rt.h>

#include <cstddef>
#include <cstdint>

namespace simt {

struct Region;

class Line {
 public:
  explicit Line(const char *kind, bool note = false);
  // Characters other than [A-Za-z0-9_.:<>,()-] become '_'; at most 80 of them.
  Line &put(const char *key, const char *value);
  Line &put(const char *key, long value);
  Line &put_hex(const char *key, unsigned value);
  Line &put(const char *key, u3 value);
  // Whose memory: an argument or allocation, or a variable in shared memory.
  Line &whose(const char *space, const char *name);
  // Where the running thread is: kernel, block and thread.
  Line &here();
  // The source line of a program counter, where the object has a line table.
  Line &at(const void *pc);
  // Whether this kind of remark was not made before for this number (a line); few in all.
  bool once(long number);
  void send();
  [[noreturn]] void die();

 private:
  void add(const char *text, size_t most);
  const char *kind_;
  bool note_;
  size_t length_ = 0;
  char text_[512];
};

void note_exited(int line, int live, int all);
// The source line of a program counter; 0 if it is not known (lines.cpp).
int source_line(const void *pc);

}  // namespace simt
