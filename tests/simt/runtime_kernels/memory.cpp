// SPDX-License-Identifier: Apache-2.0
// Allocation, copying and registering; and what the checked build makes of them. With -DBYTES=n also a
// kernel with that much static shared memory.
#include <sys/mman.h>

#include "mini.h"

template <class F>
void on_device(F body) {
  cuda("touch", {1, 1, 1}, {1, 1, 1}, 0, body);
}
// Memory in the middle of nothing, as the harness lays out tensors.
static char *island() {
  constexpr size_t SIDE = 1 << 20;
  void *map = mmap(nullptr, 3 * SIDE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return static_cast<char *>(map) + SIDE;
}
static int *fresh(size_t n, const char *name = "x") { return device<int>(nullptr, n, name); }

int allocations() {
  EXPECT(simt_allocate(size_t{1} << 60, 0, "huge") == nullptr);
  void *nothing = simt_allocate(0, 0, "nothing");
  EXPECT(nothing && simt_release(nothing) == 0 && simt_release(nothing) == 1);
  int local = 0;
  EXPECT(simt_release(&local) == 1 && simt_release(nullptr) == 0);
  for (size_t bytes : {1, 16, 100, 4096, 5000}) {
    auto *at = static_cast<unsigned char *>(simt_allocate(bytes, 1, "bytes"));
    EXPECT(reinterpret_cast<uintptr_t>(at) % 16 == 0);
    for (size_t i = 0; i < bytes; ++i) EXPECT(at[i] == simt_poison());
    EXPECT(simt_release(at) == 0);
  }
  return 0;
}
int damaged_front() {
  auto *at = static_cast<char *>(simt_allocate(32, 1, "front"));
  at[-1] ^= 0x55;
  return simt_release(at);
}
int read_after_free() {
  int *x = fresh(4);
  simt_release(x);
  on_device([=] { *static_cast<volatile int *>(x) = 1; });
  return 0;
}
// Memory for the host may be used by both; device memory by copies only.
int host_space() {
  auto *at = static_cast<int *>(simt_allocate(16, 1, "pinned"));
  at[1] = 4;
  on_device([=] { at[2] = at[1] + 1; });
  EXPECT(at[2] == 5);
  return 0;
}
int copies_stay_undefined() {
  int *x = fresh(2), *y = fresh(2, "y");
  simt_fill(x, 0, 4, 0);
  simt_copy(y, x, 8, 0);
  on_device([=] { add(&y[0], 1); });
  EXPECT((Result<int, 2>(y)[0]) == 1);
  on_device([=] { add(&y[1], 1); });
  return 0;
}
// An output counts as unwritten at every call.
int outputs_are_unwritten() {
  auto *y = reinterpret_cast<int *>(island());
  for (int call = 0; call < 2; ++call) {
    simt_call();
    simt_register("y", y, 8, 1);
    if (call == 0) on_device([=] { y[0] = 1; });
    on_device([=] { add(&y[0], 1); });
  }
  return 0;
}
// 3 x 4 with rows 10 apart: gaps belong to the tensor, what follows it does not.
int strided(int64_t row, int64_t index) {
  auto *x = reinterpret_cast<float *>(island());
  const int64_t shape[] = {3, 4}, strides[] = {row, 1};
  simt_register_tensor("x", x, 2, shape, strides, 4, 3);
  on_device([=] { x[index] = 1; });
  return 0;
}
int last_element() { return strided(10, 23); }
int behind_the_last() { return strided(10, 24); }
int lowest_element() { return strided(-10, -20); }
int below_the_lowest() { return strided(-10, -21); }

int granted_to_another() {
  static const char one = 0, other = 0;
  simt_opt_in(&one, 60000);
  simt::LaunchCfg config{{1, 1, 1}, {1, 1, 1}, 50000, 0, {}, "k", 1, &one};
  simt::launch_fn(config, [] {});
  config.function = &other;
  simt::launch_fn(config, [] {});
  return 0;
}

#ifdef BYTES
inline void large(int *y) {
  __shared__ char s[BYTES];
  s[threadIdx().x] = 1;
  sync();
  y[threadIdx().x] = s[31 - threadIdx().x];
}
int static_cuda() {
  int *y = fresh(32, "y");
  return cuda("large", {1, 1, 1}, {32, 1, 1}, 20000, [=] { large(y); });
}
int static_metal() {
  int *y = fresh(32, "y");
  return metal("large", {32, 1, 1}, {32, 1, 1}, [=] { large(y); });
}
#endif

#define ONE(NAME) {#NAME, NAME}
static const Case cases[] = {
    ONE(allocations), ONE(damaged_front), ONE(read_after_free), ONE(host_space),
    ONE(copies_stay_undefined), ONE(outputs_are_unwritten), ONE(last_element),
    ONE(behind_the_last), ONE(lowest_element), ONE(below_the_lowest), ONE(granted_to_another),
#ifdef BYTES
    ONE(static_cuda), ONE(static_metal),
#endif
};

extern "C" int run() { return run_case(cases, sizeof cases / sizeof *cases); }
