# SPDX-License-Identifier: Apache-2.0
"""The red team: hostile candidates that must be caught and honest ones that must not.

Candidates are data: ``corpus`` lists them by backend and class of the catalogue of reward hacks
(``catalogue``), ``court`` has the real verifier judge them, ``page`` writes what came out. All of
it runs by ``python -m kernelcoder redteam`` and in tests/redteam.
"""
