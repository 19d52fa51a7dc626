// SPDX-License-Identifier: Apache-2.0
#error "a kernel does its work itself: NVIDIA's libraries are not part of this backend"
