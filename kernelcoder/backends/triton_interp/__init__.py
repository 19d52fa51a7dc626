# SPDX-License-Identifier: Apache-2.0
"""Triton's interpreter, hardened: right in bf16 and fp8, fast enough, and it sees what a GPU hides.

Triton runs kernels on NumPy arrays where TRITON_INTERPRET=1. As it comes it computes on the bit
patterns of bf16 and fp8, writes wherever a pointer points, runs programs in one order and knows
nothing of races. This package replaces its arithmetic (``arithmetic.py``), its accesses to memory
(``accesses.py``, checked by ``memory.py``), its reductions, its launches, and what it rewrites in a
kernel's source. All of it is written for the one version of Triton that ``triton.py`` names.

It is loaded into the zygote by ``triton_guest_interp.py``.
"""
