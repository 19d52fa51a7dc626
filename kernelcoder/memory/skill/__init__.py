# SPDX-License-Identifier: Apache-2.0
"""Skills: right kernels turned into templates with conditions that can be executed.

One idea per file: ``schema`` (what a skill is), ``validation`` (JSON schemas), ``features`` (facts
of a task and of a kernel), ``predicates`` (conditions on them), ``template`` (filling slots),
``postconditions`` (what a verdict has to say), ``evidence`` (trials and status), ``library`` (the
state), ``compiling`` (attempt -> skill), ``admission`` (trials that a new skill owes), ``gate``
(its own tests), ``sweep`` (parameters by successive halving), ``filling`` (parameters by a
model), ``routing`` and ``calibration`` (which skill, how sure), ``composition`` (plans of several),
``store`` (files). Nothing here judges a kernel: a verdict comes from the verifier or not at all.
"""
