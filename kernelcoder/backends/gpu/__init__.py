# SPDX-License-Identifier: Apache-2.0
"""Kernels on a real NVIDIA GPU: finding one, the child that runs a kernel there, and its times.

- ``devices``: which GPU there is, asked of ``nvidia-smi``; nothing here starts CUDA in the judge.
- ``lease``: one process of this machine at a time measures on a device.
- ``slots``: the slot whose children open the device, and the child's three steps in a timed run.
- ``compiler``, ``cuda_native``: a ``.cu`` file by nvcc, and its builder.
- ``cubins``, ``triton_native``: machine code of Triton kernels, and their builder.
- ``arena``, ``contest``, ``roofs``, ``baseline_worker``: interleaved timing on the judge's clock.
- ``bench``: what ``bench-gpu`` measures.

None of it has been run on a GPU by this project's own tests: there a library of host memory stands
in for CUDA's runtime (tests/gpu).
"""
