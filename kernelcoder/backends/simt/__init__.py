# SPDX-License-Identifier: Apache-2.0
"""CUDA C++ and Metal kernels on a CPU: rewritten, compiled, run by a SIMT machine (README.md)."""
