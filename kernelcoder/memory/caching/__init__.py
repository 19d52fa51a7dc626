# SPDX-License-Identifier: Apache-2.0
"""Parts of the semantic cache: what two tasks are compared by, and when they are close enough."""
