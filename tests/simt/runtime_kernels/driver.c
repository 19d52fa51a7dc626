// SPDX-License-Identifier: Apache-2.0
// Loads an object as a slot's child does, and runs it: driver OBJECT
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
  void *object = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!object) {
    fprintf(stderr, "%s\n", dlerror());
    return 3;
  }
  void (*enter)(void);
  *(void **)&enter = dlsym(RTLD_DEFAULT, "simt_enter_child");
  int (*run)(void);
  *(void **)&run = dlsym(object, "run");
  enter();
  return run();
}
