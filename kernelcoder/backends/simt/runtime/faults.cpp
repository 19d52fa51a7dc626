// SPDX-License-Identifier: Apache-2.0
// A bad access in a kernel, explained: whose memory, how far, by which thread, in which line.
#include "faults.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "memory.h"
#include "report.h"
#include "state.h"

namespace simt {

namespace {

enum { SIGNALS = 4 };
constexpr size_t HANDLER_STACK = 64 << 10;
const int handled[SIGNALS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
struct sigaction earlier[SIGNALS];

const void *counter(const ucontext_t *user) {
#if defined(__x86_64__)
  return reinterpret_cast<const void *>(user->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void *>(user->uc_mcontext.pc);
#else
  (void)user;
  return nullptr;
#endif
}

const char *access_of(const ucontext_t *user) {
#if defined(__x86_64__)
  return user->uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
#else
  (void)user;
  return "access";
#endif
}

[[noreturn]] void defect(const char *kind, const ucontext_t *user) {
  Line(kind).here().at(counter(user)).die();
}

[[noreturn]] void bounds(const char *name, const char *space, long offset, size_t size,
                         const ucontext_t *user) {
  Line line(access_of(user)[0] == 'w' ? "out-of-bounds-write" : "out-of-bounds-read");
  line.whose(space, name).put("offset", offset);
  line.put("size", static_cast<long>(size)).here().at(counter(user)).die();
}

[[noreturn]] void bad_address(const siginfo_t *info, const ucontext_t *user) {
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  const Exec *e = exec;
  if (info->si_code == SI_KERNEL) defect("misaligned", user);  // carries no address
  if (at - reinterpret_cast<uintptr_t>(e->stacks) < STACK * MAX_THREADS) defect("stack-overflow", user);
  const auto arena = reinterpret_cast<uintptr_t>(e->dynamic);
  if (arena && at - (arena - GUARD) < DYNAMIC + 2 * GUARD) {
    const long offset = static_cast<long>(at - reinterpret_cast<uintptr_t>(simt_tls.dyn));
    bounds(shared_word(), "shared", offset, simt_tls.dyn_size, user);
  }
  long offset = 0;
  if (const Region *region = find_region(at, &offset)) {
    const bool inside = offset >= 0 && static_cast<size_t>(offset) < region->bytes;
    if (inside && !region->writable) {
      Line line("write-to-input");
      line.put("arg", region->name).put("offset", offset).here().at(counter(user)).die();
    }
    bounds(region->name, "global", offset, region->bytes, user);
  }
  defect("bad-address", user);
}

void fault(int number, siginfo_t *info, void *context) {
  const auto *user = static_cast<const ucontext_t *>(context);
  if (simt_tls.in_kernel && exec) {
    if (number == SIGFPE) defect("divide-by-zero", user);
    if (number == SIGILL) defect("trap", user);
    bad_address(info, user);
  }
  for (int i = 0; i < SIGNALS; ++i) {
    if (handled[i] != number) continue;
    if (earlier[i].sa_flags & SA_SIGINFO && earlier[i].sa_sigaction)
      return earlier[i].sa_sigaction(number, info, context);
    raise(number);  // the system has put back the default action
  }
}

}  // namespace

void alternate_stack() {
  stack_t now;
  if (sigaltstack(nullptr, &now) == 0 && !(now.ss_flags & SS_DISABLE)) return;
  void *at = mmap(nullptr, HANDLER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return;
  stack_t stack{};
  stack.ss_sp = at, stack.ss_size = HANDLER_STACK;
  sigaltstack(&stack, nullptr);
}

void enter_child() {
  static pid_t entered = 0;
  if (entered == getpid()) return;
  entered = getpid();
  alternate_stack();
  struct sigaction action {};
  action.sa_sigaction = fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (int i = 0; i < SIGNALS; ++i) {
    struct sigaction old;
    if (sigaction(handled[i], &action, &old) == 0 && old.sa_sigaction != fault) earlier[i] = old;
  }
}

}  // namespace simt

// The slot's child calls this before it puts on its filter: from then on handlers stay as they are.
extern "C" void simt_enter_child(void) { simt::enter_child(); }
