# SPDX-License-Identifier: Apache-2.0
"""What the child of a Metal candidate does where there is no Metal.

``memory.py`` moves arrays between MLX and the emulator, ``kernels.py`` stands in for
``mx.fast.metal_kernel``, ``census.py`` counts MLX's operators. The guest (``metal_guest.py``) loads
these files and nothing else of this project into its zygote.
"""
