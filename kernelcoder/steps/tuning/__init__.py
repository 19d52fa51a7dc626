# SPDX-License-Identifier: Apache-2.0
"""Constants of a kernel that a model left open, and the search among their values."""
