# SPDX-License-Identifier: Apache-2.0
"""What the child of a CUDA candidate that is a Python module does.

``extension.py`` stands in for ``torch.utils.cpp_extension``, ``exchange.py`` carries arguments of a
call into the emulator's memory and results back, ``values.py`` has the structures that the headers
in ``simt/include/torch_facade`` share with it. ``cuda_module_guest.py`` loads these files and those
of ``triton_child`` that know nothing of Triton into its zygote, and nothing else of this project.
"""
