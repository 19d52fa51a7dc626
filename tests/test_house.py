# SPDX-License-Identifier: Apache-2.0
"""House rules that a reviewer should never have to repeat: sizes, headers, catch-alls, stubs."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE, MAX_FUNCTION = 400, 60
# Catching everything is allowed at the process boundaries only; each with a comment why.
CATCH_ALL = {
    "kernelcoder/runner.py",
    "kernelcoder/verify/service.py",
    "kernelcoder/verify/baseline_worker.py",
}


def tracked(*suffixes: str) -> list[Path]:
    """Files git knows or would add, with one of the suffixes."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def test_files_stay_under_400_lines() -> None:
    long = [
        f"{p.relative_to(ROOT)}: {n}"
        for p in tracked(".py", ".c", ".h", ".js", ".css")
        if (n := p.read_text().count("\n")) > MAX_FILE
    ]
    assert long == []


def test_functions_stay_under_60_lines() -> None:
    long = []
    for path in tracked(".py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({size})")
    assert long == []


def test_every_source_file_names_its_license() -> None:
    bare = [
        str(p.relative_to(ROOT))
        for p in tracked(".py", ".c", ".h")
        if "SPDX-License-Identifier" not in "\n".join(p.read_text().splitlines()[:3])
    ]
    assert bare == []


def test_nothing_catches_everything_but_the_boundaries() -> None:
    broad = []
    for path in tracked(".py"):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = node.type
            if (
                caught is None
                or (isinstance(caught, ast.Name) and caught.id in ("Exception", "BaseException"))
            ) and name not in CATCH_ALL:
                broad.append(f"{name}:{node.lineno}")
    assert broad == []


def test_public_names_have_docstrings() -> None:
    silent = []
    for path in tracked(".py"):
        if path.is_relative_to(ROOT / "tests") or path.match("prompts/examples/*/*/*.py"):
            continue
        tree = parsed(path)
        if tree.body and not ast.get_docstring(tree):
            silent.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith(
                "_"
            )
            # a task's reference is shown in the prompt as it stands, the description beside it
            if (
                public
                and not ast.get_docstring(node)
                and not (node.name == "reference" and {"core", "fewshot"} & set(path.parts))
            ):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert silent == []
