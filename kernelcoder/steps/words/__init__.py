# SPDX-License-Identifier: Apache-2.0
"""What recipes that ask in words share: answers in JSON, lineages of attempts, digests."""
