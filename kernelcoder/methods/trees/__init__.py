# SPDX-License-Identifier: Apache-2.0
"""What the tree methods share: the tree of a task's attempts, and notes on what failed.

``tree`` folds a history into nodes with their statistics, ``puct`` is one rule to walk down, and
``notes`` says in words why a child failed. None of it keeps anything: a tree is built anew for
every proposal, so it is the same whoever asks, in whatever order results came in.
"""
