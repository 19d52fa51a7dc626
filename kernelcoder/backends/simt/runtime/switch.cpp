// SPDX-License-Identifier: Apache-2.0
#include "switch.h"

#include <cstdint>
#include <cstring>

#if defined(SIMT_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
#include <ucontext.h>

// The slow way for every other processor: each switch is a system call for the signal mask.
extern "C" void simt_switch(void **save, void *to) {
  ucontext_t here;
  *save = &here;
  swapcontext(&here, static_cast<ucontext_t *>(to));
}

void *simt::fresh_context(char *bottom, char *top, void (*entry)()) {
  char *at = top - sizeof(ucontext_t);
  auto *context = reinterpret_cast<ucontext_t *>(reinterpret_cast<uintptr_t>(at) & ~uintptr_t{63});
  getcontext(context);
  context->uc_stack.ss_sp = bottom;
  context->uc_stack.ss_size = static_cast<size_t>(reinterpret_cast<char *>(context) - bottom);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

#elif defined(__x86_64__)
// System V ABI: rbx, rbp, r12 to r15 belong to the caller of a function. The entry is found in r15
// of a fresh context; the stack is 16-byte aligned before a call.
asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
.globl simt_start
.hidden simt_start
.type simt_start,@function
simt_start:
  callq *%r15
  ud2
.size simt_start,.-simt_start
)");
extern "C" void simt_start();

void *simt::fresh_context(char *, char *top, void (*entry)()) {
  auto *at = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15});
  *--at = nullptr;  // where debuggers stop
  *--at = nullptr;
  *--at = reinterpret_cast<void *>(simt_start);
  for (int i = 0; i < 5; ++i) *--at = nullptr;
  *--at = reinterpret_cast<void *>(entry);
  return at;
}

#else
// AAPCS64: x19 to x30 and the low halves of v8 to v15. The entry is found in x19.
asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch,%function
simt_switch:
  sub sp,sp,#160
  stp x19,x20,[sp,#0]
  stp x21,x22,[sp,#16]
  stp x23,x24,[sp,#32]
  stp x25,x26,[sp,#48]
  stp x27,x28,[sp,#64]
  stp x29,x30,[sp,#80]
  stp d8,d9,[sp,#96]
  stp d10,d11,[sp,#112]
  stp d12,d13,[sp,#128]
  stp d14,d15,[sp,#144]
  mov x2,sp
  str x2,[x0]
  mov sp,x1
  ldp x19,x20,[sp,#0]
  ldp x21,x22,[sp,#16]
  ldp x23,x24,[sp,#32]
  ldp x25,x26,[sp,#48]
  ldp x27,x28,[sp,#64]
  ldp x29,x30,[sp,#80]
  ldp d8,d9,[sp,#96]
  ldp d10,d11,[sp,#112]
  ldp d12,d13,[sp,#128]
  ldp d14,d15,[sp,#144]
  add sp,sp,#160
  ret
.size simt_switch,.-simt_switch
.globl simt_start
.hidden simt_start
.type simt_start,%function
simt_start:
  blr x19
  brk #0
.size simt_start,.-simt_start
)");
extern "C" void simt_start();

void *simt::fresh_context(char *, char *top, void (*entry)()) {
  char *at = reinterpret_cast<char *>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15}) - 160;
  std::memset(at, 0, 160);
  auto start = reinterpret_cast<void *>(simt_start), first = reinterpret_cast<void *>(entry);
  std::memcpy(at, &first, sizeof first);
  std::memcpy(at + 88, &start, sizeof start);
  return at;
}
#endif
