// SPDX-License-Identifier: Apache-2.0
#error "the Thrust library is not part of this backend: write the kernel yourself"
