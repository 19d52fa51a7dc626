# SPDX-License-Identifier: Apache-2.0
"""Verdicts shared by the cells of a machine: a candidate that was judged is not judged again.

Methods that are compared start from the same drafts, and memories often lead to the same kernels.
Where cells share their secret (RUN_SHARE_VERDICTS), such a candidate meets the very same hidden
cases in each of them, so one verdict serves all: charged in full, paid once, and with one timing,
which takes the noise of measuring it twice out of the comparison. The same holds for final timings
of the very same finalists: equal kernels compare as equal.

The store is ``results/<machine>/verdicts/<2 hex>/<key>.json``; the key covers the candidate, the
task's digest, the secret, the verifier's version and every option of the verification.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernelcoder.history import random_key
from kernelcoder.ledger import plain, write_atomic
from kernelcoder.records import Candidate, Verdict, from_json, to_json
from kernelcoder.task import Task
from kernelcoder.verify import Finalist, Verifier


def shared_secret(folder: Path, seed: int) -> str:
    """The secret in hex from which all cells of a seed draw their hidden cases, made on first use.
    Only its owner may read the file. Another process may make it at the same time: the first file
    counts."""
    path = folder / f"seed-{seed}.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{path.name}.{secrets.token_hex(4)}"
        write_atomic(new, secrets.token_hex(32).encode(), mode=0o600)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
        new.unlink()
    return path.read_text(encoding="utf-8")


class SharedVerdicts:
    """A verifier in front of another; ``options`` is everything that its verdicts depend on besides
    the candidate. Verdicts do not race against a cell's best: they have to serve every cell."""

    def __init__(self, verifier: Verifier, folder: Path, options: object) -> None:
        self._verifier, self._folder, self._options = verifier, folder, repr(options)

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        """The stored verdict, or a new one, which is then stored unless the machine failed."""
        name = random_key(candidate.sha, task.id, task.digest, key, timing, self._options)
        path = self._folder / name[:2] / f"{name}.json"
        known: Verdict | None = _read(path, Verdict)
        if known is not None:
            return known
        verdict = self._verifier.verify(task, candidate, key, timing)
        if verdict.status != "infra_error":
            _write(path, verdict)
        return verdict

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        """The stored timings of these very finalists, or new ones, kept if all could be timed."""
        shas = sorted(one.sha for one in candidates)
        name = random_key(*shas, "final", task.id, task.digest, key, self._options)
        path = self._folder / name[:2] / f"{name}.json"
        if (known := _read(path, tuple[Finalist, ...])) is not None:
            return list(known)
        found = self._verifier.retime(task, candidates, key)
        if all(one.report is not None for one in found):
            _write(path, found)
        return found

    def close(self) -> None:
        """Close the verifier behind."""
        self._verifier.close()


def _write(path: Path, record: Any) -> None:
    text = json.dumps(plain(to_json(record)), separators=(",", ":"), allow_nan=False)
    write_atomic(path, text.encode())


def _read(path: Path, kind: Any) -> Any:
    """A stored record; None if there is none, or none that can be read."""
    try:
        return from_json(kind, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
