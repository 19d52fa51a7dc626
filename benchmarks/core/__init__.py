# SPDX-License-Identifier: Apache-2.0
"""The core suite: one operator per file. See docs/add.md for adding one.

A file ``<op>.py`` here, or in a folder of ``KERNELCODER_OPS_PATH`` (separated like ``PATH``), is a
task; names that start with an underscore are not. It holds ``TASK``, a ``kernelcoder.task.Task``.
Only ``load`` imports the file, and torch with it.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import os
from functools import cache
from pathlib import Path
from types import ModuleType

from benchmarks.gpu import with_gpu
from benchmarks.python import with_python
from kernelcoder.errors import Error
from kernelcoder.task import Task

HERE = Path(__file__).resolve().parent
PATH_VARIABLE = "KERNELCODER_OPS_PATH"
# What every task rests on, beside its own file: how its cases and values are made, and, with the
# fragments in _cpp, what its `reference` baseline is.
SHARED = ("generate.py", "cases.py", "families.py", "cpp.py", "python.py")


def _files() -> dict[str, Path]:
    """Name -> file. The first folder that has a name wins, so a core op cannot be replaced."""
    extra = [
        Path(folder) for folder in os.environ.get(PATH_VARIABLE, "").split(os.pathsep) if folder
    ]
    found: dict[str, Path] = {}
    for folder in [HERE, *extra]:
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def _file(name: str) -> Path:
    """The file of a task; an unknown name is an ``Error`` with the nearest names."""
    files = _files()
    if name not in files:
        near = difflib.get_close_matches(name, files, n=3, cutoff=0.4)
        known = ", ".join(f"core/{item}" for item in (near or sorted(files)))
        raise Error(f"no such task core/{name}", fix=f"{'nearest' if near else 'known'}: {known}")
    return files[name]


def names() -> tuple[str, ...]:
    """The tasks in alphabetical order."""
    return tuple(sorted(_files()))


def digest(name: str) -> str:
    """SHA-256 of the operator's file, the shared case and value generators, and what
    all known kernels are built from."""
    total = hashlib.sha256()
    shared = [HERE.parent / item for item in SHARED] + sorted((HERE / "_cpp").glob("*.h"))
    for path in [_file(name), *shared]:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def load(name: str) -> Task:
    """The task ``core/<name>``; an unknown name or a file without ``TASK`` is an ``Error``."""
    return _load(name, str(_file(name)), digest(name))


@cache
def _load(name: str, path: str, sha: str) -> Task:
    task = getattr(_module(name, Path(path)), "TASK", None)
    if not isinstance(task, Task) or task.name != name:
        raise Error(f"the file must define TASK, a Task named {name!r}", where=path)
    return dataclasses.replace(with_gpu(with_python(task)), digest=sha)


def _module(name: str, path: Path) -> ModuleType:
    if path.parent == HERE:
        return importlib.import_module(f"{__name__}.{name}")
    spec = importlib.util.spec_from_file_location(f"{__name__}_extra_{name}", path)
    if spec is None or spec.loader is None:
        raise Error("not a Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
