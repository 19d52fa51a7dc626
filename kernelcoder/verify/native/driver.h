// SPDX-License-Identifier: Apache-2.0
// What the process of a candidate may do where it has a device: the driver's files and calls stay
// open to it, and limits count what holds data, since a driver reserves address space without end.
#pragma once
#include "calls.h"

enum { KC_DRIVER_FILES = 1024 };

// In the slot, before Landlock: finds the device files and adds to what can be read all that opening
// a device reads.
void kc_driver_begin(void);

// In the child, once the device is open: memory, time, text, threads, files; then leaves the first
// `kept` of the places that can be read, our own /proc and the device files. `skip` as in child.h.
void kc_driver_confine(const KcJob *job, unsigned skip, int own_user, int kept);
