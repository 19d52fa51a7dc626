// SPDX-License-Identifier: Apache-2.0
#error "CUTLASS is not part of this backend"
