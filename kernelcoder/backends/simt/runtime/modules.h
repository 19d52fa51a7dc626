// SPDX-License-Identifier: Apache-2.0
// Objects with kernels: their static shared memory, and their line tables.
//
// Static shared memory is thread-local storage of the object that defines the kernel: every OS
// thread that runs blocks has its own, laid out as the linker decided. Names, sizes and places come
// from the object's dynamic symbols, so only variables of inline functions and templates have names.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {

struct Variable {
  size_t offset, bytes;
  std::string name, owner;  // owner: the function it is declared in, as demangled
};

struct Module {
  uintptr_t base, low, high;  // where it is loaded
  size_t tls_id, tls_bytes;
  std::vector<Variable> variables;
  const char *lines[2];       // its line table, or null
};

struct Exec;

// The loaded object that holds an address; null if there is none. Looked up once per object.
const Module *module_of(const void *address);
// The calling OS thread's static shared memory of a module.
char *shared_of(const Module *module);
// The variable at an offset of static shared memory; null between named ones.
const Variable *variable_at(const Module *module, size_t offset);
// Bytes of static shared memory of the functions called `kernel` (the largest instance).
size_t static_bytes(const Module *module, const char *kernel);
// The function with the most static shared memory, and how much.
const Variable *largest_owner(const Module *module, size_t *bytes);
// Fills the shared memory of a block that is about to start.
void poison_shared(Exec *e);

}  // namespace simt
