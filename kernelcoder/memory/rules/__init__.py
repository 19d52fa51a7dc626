# SPDX-License-Identifier: Apache-2.0
"""The parts of the memory ``evol_rule``: pairs, questions, static checks, and the statistics."""
