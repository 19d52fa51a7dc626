# SPDX-License-Identifier: Apache-2.0
"""Parts of the evolutionary method: reading sources, describing kernels, islands of elites.

``sources`` cuts comments and strings off hostile text, ``descriptors`` says which cell of the grid
a kernel belongs to, ``islands`` folds a history into the populations.
"""
