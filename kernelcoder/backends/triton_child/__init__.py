# SPDX-License-Identifier: Apache-2.0
"""What the child of a Triton candidate does whichever way its kernels are run.

``calls.py`` makes the calls and brings the results back, ``virtual_cuda.py`` lets tensors of the
host pass for a GPU's, ``specs.py`` puts launches into words for the ahead-of-time compiler. The
guests (``triton_guest.py``, ``triton_guest_interp.py``) load these files and nothing else of this
project into their zygotes.
"""
