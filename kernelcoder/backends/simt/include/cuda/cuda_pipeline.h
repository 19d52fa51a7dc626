// SPDX-License-Identifier: Apache-2.0
#error "asynchronous copies are not emulated: copy with plain loads and __syncthreads()"
