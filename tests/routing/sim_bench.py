# SPDX-License-Identifier: Apache-2.0
"""Commands over the simulated world: seconds for a whole bench. Not a test itself."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pytest

from kernelcoder.__main__ import main

SIM = {
    "METHOD_BASE": "n",
    "METHOD_REFINE": "y",
    "MODEL_RECIPE": "n",
    "MODEL_SIM": "y",
    "BACKEND_CPU": "n",
    "BACKEND_SIM": "y",
    "SUITE_CORE": "n",
    "SUITE_SIM": "y",
    "SUITE_SIM_COUNT": "3",
    "BUDGET": "8",
    "ROUTER_LINTS": "y",
    "ROUTER_ARMS": '"sim/one_shot,sim_small/one_shot"',
}


def write(folder: Path, **changed: str) -> str:
    """A configuration of the simulated world with these symbols."""
    path = folder / "config"
    lines = [f"CONFIG_{name}={value}" for name, value in (SIM | changed).items() if value]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(folder: Path, *words: str, code: int = 0) -> str:
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for key in [key for key in os.environ if key.startswith("CONFIG_")]:
            patch.delenv(key)
        patch.setenv("KERNELCODER_O", str(folder))
        patch.setenv("KERNELCODER_MACHINE", "m")
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert main(words) == code, said.getvalue()
    return said.getvalue()


def ledger_of(folder: Path) -> Path:
    (path,) = (folder / "results").glob("m+simulated/*/ledger.jsonl")
    return path
