// SPDX-License-Identifier: Apache-2.0
#include "modules.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "report.h"
#include "state.h"

struct tls_index {
  unsigned long module, offset;
};
extern "C" void *__tls_get_addr(tls_index *);

namespace simt {

// The parts of the dynamic section that are needed. Pointers are made absolute by some loaders only.
struct Dynamic {
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  size_t count = 0;
};

static size_t count_by_gnu_hash(const uint32_t *table) {
  const uint32_t buckets = table[0], first = table[1], bloom = table[2];
  const uint32_t *bucket = table + 4 + bloom * (sizeof(ElfW(Addr)) / 4);
  const uint32_t *chain = bucket + buckets;
  uint32_t last = 0;
  for (uint32_t i = 0; i < buckets; ++i)
    if (bucket[i] > last) last = bucket[i];
  if (last < first) return first;
  while (!(chain[last - first] & 1)) ++last;
  return last + 1;
}

static Dynamic read_dynamic(const ElfW(Dyn) *entry, uintptr_t base) {
  Dynamic found;
  auto at = [&](uintptr_t value) { return value < base ? value + base : value; };
  for (; entry->d_tag != DT_NULL; ++entry) {
    const uintptr_t value = at(entry->d_un.d_ptr);
    if (entry->d_tag == DT_SYMTAB) found.symbols = reinterpret_cast<const ElfW(Sym) *>(value);
    if (entry->d_tag == DT_STRTAB) found.names = reinterpret_cast<const char *>(value);
    if (entry->d_tag == DT_HASH) found.count = reinterpret_cast<const uint32_t *>(value)[1];
    if (entry->d_tag == DT_GNU_HASH && !found.count)
      found.count = count_by_gnu_hash(reinterpret_cast<const uint32_t *>(value));
  }
  return found;
}

// "void k<float>(float*)::s" is the variable s of void k<float>(float*).
static Variable variable(const char *symbol, size_t offset, size_t bytes) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void *)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  const std::string full = text ? text.get() : symbol;
  const size_t cut = full.rfind("::");
  if (cut == std::string::npos) return {offset, bytes, full, ""};
  return {offset, bytes, full.substr(cut + 2), full.substr(0, cut)};
}

static void read_symbols(Module &module, const Dynamic &dynamic) {
  if (!dynamic.symbols || !dynamic.names) return;
  for (size_t i = 0; i < dynamic.count; ++i) {
    const ElfW(Sym) &symbol = dynamic.symbols[i];
    if (symbol.st_shndx == SHN_UNDEF) continue;
    const char *name = dynamic.names + symbol.st_name;
    // ELF64_ST_TYPE is the same for 32 bits. Guards of constructors (_ZGV) are no shared memory.
    if (ELF64_ST_TYPE(symbol.st_info) == STT_TLS && std::strncmp(name, "_ZGV", 4) != 0)
      module.variables.push_back(variable(name, symbol.st_value, symbol.st_size));
    if (std::strcmp(name, "simt_lines") == 0 && symbol.st_size == sizeof module.lines)
      std::memcpy(module.lines, reinterpret_cast<const void *>(module.base + symbol.st_value),
                  sizeof module.lines);
  }
}

struct Search {
  uintptr_t address;
  std::unique_ptr<Module> found;
};

static int look(dl_phdr_info *info, size_t, void *data) {
  auto *search = static_cast<Search *>(data);
  Module module{info->dlpi_addr, ~uintptr_t{0}, 0, 0, 0, {}, {nullptr, nullptr}};
  const ElfW(Dyn) *dynamic = nullptr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &part = info->dlpi_phdr[i];
    const uintptr_t low = info->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_TLS) module.tls_bytes = part.p_memsz;
    if (part.p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const ElfW(Dyn) *>(low);
    if (part.p_type != PT_LOAD) continue;
    if (low < module.low) module.low = low;
    if (low + part.p_memsz > module.high) module.high = low + part.p_memsz;
  }
  if (search->address < module.low || search->address >= module.high) return 0;
  module.tls_id = info->dlpi_tls_modid;
  if (dynamic) read_symbols(module, read_dynamic(dynamic, info->dlpi_addr));
  search->found = std::make_unique<Module>(std::move(module));
  return 1;
}

const Module *module_of(const void *address) {
  static std::mutex looking;
  static std::vector<std::unique_ptr<Module>> known;
  const auto at = reinterpret_cast<uintptr_t>(address);
  const std::lock_guard<std::mutex> lock(looking);
  for (const auto &module : known)
    if (at >= module->low && at < module->high) return module.get();
  Search search{at, nullptr};
  dl_iterate_phdr(look, &search);
  if (!search.found) return nullptr;
  known.push_back(std::move(search.found));
  return known.back().get();
}

char *shared_of(const Module *module) {
  if (!module || !module->tls_id || !module->tls_bytes) return nullptr;
  tls_index index{module->tls_id, 0};
  return static_cast<char *>(__tls_get_addr(&index));
}

const Variable *variable_at(const Module *module, size_t offset) {
  for (const Variable &variable : module->variables)
    if (offset - variable.offset < variable.bytes) return &variable;
  return nullptr;
}

// Whether a demangled function ("void a::k<int>(float*)") has the name a launch gave ("k", "a::k").
static bool named(const std::string &owner, const std::string &kernel) {
  size_t end = owner.find_first_of("<(");
  if (end == std::string::npos) end = owner.size();
  if (end < kernel.size() || owner.compare(end - kernel.size(), kernel.size(), kernel) != 0)
    return false;
  return end == kernel.size() || std::strchr(" :", owner[end - kernel.size() - 1]) != nullptr;
}

size_t static_bytes(const Module *module, const char *kernel) {
  std::map<std::string, size_t> bytes;
  size_t most = 0;
  for (const Variable &variable : module->variables) {
    if (!kernel || !named(variable.owner, kernel)) continue;
    const size_t sum = bytes[variable.owner] += variable.bytes;
    if (sum > most) most = sum;
  }
  return most;
}

const Variable *largest_owner(const Module *module, size_t *bytes) {
  std::map<std::string, size_t> sums;
  const Variable *largest = nullptr;
  *bytes = 0;
  for (const Variable &variable : module->variables) {
    const size_t sum = sums[variable.owner] += variable.bytes;
    if (sum > *bytes) *bytes = sum, largest = &variable;
  }
  return largest;
}

void poison_shared(Exec *e) {
  static __thread const Module *last __attribute__((tls_model("initial-exec")));
  static __thread const void *body __attribute__((tls_model("initial-exec")));
  const void *now = reinterpret_cast<const void *>(e->body);
  if (now != body) last = module_of(now), body = now;
  if (char *shared = shared_of(last)) std::memset(shared, current_launch.poison, last->tls_bytes);
  if (simt_tls.dyn_size) std::memset(simt_tls.dyn, current_launch.poison, simt_tls.dyn_size);
}

}  // namespace simt
