# SPDX-License-Identifier: Apache-2.0
"""What a person runs all the time loads nothing heavy, and help needs no package at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kernelcoder import paths
from kernelcoder.backends import metal

HEAVY = ("torch", "numpy", "litellm", "openai", "rich", "xllamacpp", "sympy")
PROBE = """
import sys
from kernelcoder.__main__ import main
code = main(sys.argv[1:])
print("LOADED", code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded(*argv: str) -> tuple[int, set[str]]:
    """Exit code of a command in a fresh interpreter, and the packages it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *argv],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.splitlines()[-1].split()
    assert words[0] == "LOADED"
    return int(words[1]), set(words[2:])


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ((), 0),
        (("help",), 0),
        (("list-defconfigs",), 0),
        (("matrix", "--config", "defconfigs/cpu-scaling"), 0),
        (("matrix", "--config", "defconfigs/metal-fewshot"), 0 if metal.probe().mode else 3),
        (("matrix", "--config", "defconfigs/vllm-local"), 0),
        (("status", "--config", "defconfigs/smoke"), 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_nothing_heavy_is_imported(argv: tuple[str, ...], code: int) -> None:
    returned, modules = loaded(*argv)
    assert returned == code
    assert not modules & set(HEAVY)


def test_help_and_clean_need_the_standard_library_only() -> None:
    for argv in (("help",), ()):
        _, modules = loaded(*argv)
        assert "kconfiglib" not in modules


def test_only_config_imports_kconfiglib() -> None:
    found = [
        path.name
        for path in (paths.ROOT / "kernelcoder").rglob("*.py")
        if "import kconfiglib" in path.read_text() or "from kconfiglib" in path.read_text()
    ]
    assert found == ["config.py"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("matrx",), "did you mean matrix?"),
        (("matrix", "--config", "/nowhere/.config"), "there is no such configuration"),
    ],
)
def test_a_mistake_is_a_sentence_and_no_traceback(argv: tuple[str, ...], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kernelcoder", *argv],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
