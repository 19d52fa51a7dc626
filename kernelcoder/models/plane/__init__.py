# SPDX-License-Identifier: Apache-2.0
"""What stands between the engine and a provider: what went wrong, how often to ask, when to pause.

``failures`` names failures, ``limits`` counts requests and tokens, ``breaker`` pauses when a
provider is down, ``replies`` tells whose answer it is, ``settings`` reads ``RUN_*``. Nothing here
is part of a cell's identity: a call that failed is asked again and says nothing of a kernel.
"""
