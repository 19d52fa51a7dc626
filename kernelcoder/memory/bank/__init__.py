# SPDX-License-Identifier: Apache-2.0
"""The parts of the memory ``reasoning_bank``: its items, its questions and values."""
