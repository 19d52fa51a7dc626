# SPDX-License-Identifier: Apache-2.0
"""Recipe data of every family, for tests that need no tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "relu": {"family": "pointwise", "inputs": ["x"], "expr": "max(x, 0.0f)"},
    "gelu": {
        "family": "pointwise",
        "inputs": ["x"],
        "expr": "0.5f * x * (1.0f + erf(x * 0.70710678f))",
    },
    "all_functions": {
        "family": "pointwise",
        "inputs": ["a", "b"],
        "expr": "min(exp(a), sqrt(abs(b))) + tanh(a) * sigmoid(b) - log(max(1.0f, a)) / erf(b)",
    },
    "constant": {"family": "pointwise", "inputs": ["x"], "expr": "exp(1.0f) - .5e0f + 2"},
    "sum": {"family": "reduce", "op": "sum"},
    "mean": {"family": "reduce", "op": "mean"},
    "max": {"family": "reduce", "op": "max"},
    "softmax": {"family": "rownorm", "op": "softmax"},
    "rmsnorm": {"family": "rownorm", "op": "rmsnorm"},
    "layernorm": {"family": "rownorm", "op": "layernorm"},
    "rope": {"family": "rope"},
    "matmul": {"family": "matmul"},
}
