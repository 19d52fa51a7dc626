# SPDX-License-Identifier: Apache-2.0
"""A process reward model: what comes of working on this kernel, guessed before any call is made.

``features`` describes a step (a parent and what is to be done with it), ``fit`` are the three small
linear models, ``scoring`` checks every guess against what then happened, ``learner`` folds
attempts into a state that is plain data. Labels are the verifier's verdicts and nothing else: no
value of the tree and no guess of the model itself ever becomes one.

Source: reference specification of methods, M6.
"""
