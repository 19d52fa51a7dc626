# SPDX-License-Identifier: Apache-2.0
"""Views of ledgers: tables, charts, pages, files and comparisons.

    source   ledgers folded into cells, tasks and attempts (the only reader of files)
    rows     one flat record per cell, task and attempt: what every view is made from
    stats    intervals, estimators and tests
    claims   the only sentences that may say "verified" or "faster", made from rows
    quote    everything else: free text shown as quoted evidence, escaped for its medium
    table, html, exports, compare    the views

A report needs neither torch nor a model nor the verifier, and the same ledgers give the same bytes.
"""
