# SPDX-License-Identifier: Apache-2.0
"""What memories that learn in words share: asking for JSON, showing an attempt to
a reader, and what may not be kept."""
