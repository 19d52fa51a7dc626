// SPDX-License-Identifier: Apache-2.0
#error "the CUB library is not part of this backend: write the reduction or scan yourself"
