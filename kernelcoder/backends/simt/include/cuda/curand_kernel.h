// SPDX-License-Identifier: Apache-2.0
#error "cuRAND is not part of this backend"
