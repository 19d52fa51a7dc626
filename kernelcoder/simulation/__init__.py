# SPDX-License-Identifier: Apache-2.0
"""A world with known truth, for testing search methods, estimators and budgets in seconds.

``form`` is what a simulated kernel looks like, ``landscape`` how right and how fast it is. The
suite, the model and the backend named ``sim`` build on them. The world is made up: what is found in
it says nothing about language models, and every report of it says so.
"""
