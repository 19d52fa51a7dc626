// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "driver.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "child.h"
#include "sandbox.h"

enum { DEVICES = 8, FIELDS = 6 };

static char devices[DEVICES][64];
static int device_count;

// Which of several GPUs CUDA shows is CUDA_VISIBLE_DEVICES.
static void find_devices(void) {
  DIR *folder = opendir("/dev");
  if (!folder) return;
  for (const struct dirent *entry; (entry = readdir(folder)) && device_count < DEVICES;) {
    if (strncmp(entry->d_name, "nvidia", 6) != 0 || strlen(entry->d_name) > 40) continue;
    if (strcmp(entry->d_name, "nvidia-caps") == 0) continue;
    snprintf(devices[device_count++], sizeof *devices, "/dev/%s", entry->d_name);
  }
  closedir(folder);
}

static void may(const char *path, int access) {
  if (kc_readable_count < KC_RULES) kc_readable[kc_readable_count++] = (KcRule){path, access};
}

static void may_use_devices(void) {
  for (int i = 0; i < device_count; ++i) may(devices[i], KC_DEVICE);
  may("/dev/nvidia-caps", KC_READ);
  may("/dev/null", KC_READ);
  may("/sys/devices/system", KC_READ);
  may("/proc/driver/nvidia", KC_READ);
}

void kc_driver_begin(void) {
  static const char *const places[] = {
      "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local", "/opt", "/etc/ld.so.cache",
      "/proc", "/sys", "/dev/zero",
  };
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) may(places[i], KC_READ);
  find_devices();
  may_use_devices();
}

// Bytes of this process's writable private memory: what RLIMIT_DATA counts.
static uint64_t own_data(void) {
  unsigned long field[FIELDS] = {0};
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  for (int i = 0; i < FIELDS; ++i)
    if (fscanf(file, "%lu", field + i) != 1) break;
  fclose(file);
  return field[FIELDS - 1] * KC_PAGE;
}

void kc_driver_confine(const KcJob *job, unsigned skip, int own_user, int kept) {
  const uint64_t data = own_data() + job->memory_bytes;
  kc_limit(RLIMIT_DATA, data, data);
  kc_limit(RLIMIT_CPU, job->cpu_seconds, job->cpu_seconds + 1);
  kc_limit(RLIMIT_FSIZE, job->output_bytes, job->output_bytes);
  kc_limit(RLIMIT_STACK, 8 << 20, 8 << 20);
  kc_limit(RLIMIT_CORE, 1, 1);
  kc_limit(RLIMIT_NOFILE, KC_DRIVER_FILES, KC_DRIVER_FILES);
  if (own_user) kc_limit(RLIMIT_NPROC, job->threads + 16, job->threads + 16);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  kc_readable_count = kept;
  may("/proc/self", KC_READ);
  may_use_devices();
  if (!(skip & KC_NO_LANDLOCK)) kc_landlock(kc_readable, kc_readable_count);
  if (!(skip & KC_NO_SECCOMP) && kc_seccomp_available() && kc_seccomp_device()) kc_fail("seccomp");
}
