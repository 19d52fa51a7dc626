# SPDX-License-Identifier: Apache-2.0
"""KernelCoder: language models write kernels, a verifier nobody can fool judges them."""

__version__ = "0.1.0"
