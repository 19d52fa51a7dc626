# SPDX-License-Identifier: Apache-2.0
"""The engine: one task's search, from a method's proposals to the ledger.

``search`` is the loop under the fixed-lag rule, ``asking`` makes requests of proposals, ``calling``
gets them answered, ``selection`` picks the result, ``learning`` carries a memory from task to task.
"""
