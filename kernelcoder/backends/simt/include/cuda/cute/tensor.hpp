// SPDX-License-Identifier: Apache-2.0
#error "CuTe is not part of this backend"
