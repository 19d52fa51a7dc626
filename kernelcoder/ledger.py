# SPDX-License-Identifier: Apache-2.0
"""The ledger of a cell: append-only, hash-chained JSON lines, and blobs named by their SHA-256.

``results/<machine>/<cell id>/ledger.jsonl`` holds one event a line; long texts (prompts, replies,
sources, logs) lie in ``blobs/<first 2 hex>/<sha256>`` and are written before the event that names
them. An event is on disk before anybody acts on it, so a killed run loses at most the line being
written: a torn last line is dropped and said.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kernelcoder.errors import BROKEN, Error
from kernelcoder.records import Attempt, Candidate, Proposal, Usage, Verdict, from_json, sha256
from kernelcoder.states import IllegalTransition, Machine

GENESIS = "0" * 64
_RESUME = "mend it (free some space), then make bench resumes: nothing recorded is lost"
NAME = "ledger.jsonl"


class BrokenLedger(Error):
    """The file was changed after it was written, or tells an impossible story."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            what, where, "make FRESH=1 bench sets the cell aside and starts it anew", code=BROKEN
        )


class Held(Error):
    """Another process writes this cell."""

    def __init__(self, cell_dir: Path, pid: int | None) -> None:
        self.pid = pid
        super().__init__(f"cell is being run by pid {pid or 'unknown'}", cell_dir.name, code=BROKEN)


@dataclass(frozen=True, slots=True)
class Event:
    """One line. ``time`` is Unix seconds; ``prev`` the hash of the line before it."""

    seq: int
    time: float
    kind: str
    task: str | None
    ordinal: int | None
    data: Mapping[str, Any]
    prev: str
    hash: str

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields but ``hash``."""
        body = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "hash"}
        return sha256(canonical(body))


class Events(list[Event]):
    """The events of a file; ``torn`` is the number of bytes of a dropped last line (0: whole)."""

    torn: int = 0


def canonical(data: Any) -> str:
    """JSON text that is the same for equal data: sorted keys, no spaces, ASCII, finite numbers."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(data: Any) -> Any:
    """JSON data without infinities and NaN (they become null: JSON has neither)."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    return data


def read(path: Path) -> Events:
    """Events of a ledger file, chain checked; safe while a run writes it.

    A last line without its newline is dropped and counted in ``Events.torn``; a missing file is an
    empty ledger. Raises :class:`BrokenLedger` where the chain does not hold."""
    events = Events()
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return events
    whole, _, tail = raw.rpartition(b"\n")
    events.torn = len(tail)
    prev = GENESIS
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        where = f"{path.parent.name}/{path.name}:{number}"
        try:
            event = Event(**json.loads(line))
        except (ValueError, TypeError) as problem:
            raise BrokenLedger("not a ledger event", where) from problem
        if event.seq != number - 1 or event.prev != prev or event.digest() != event.hash:
            raise BrokenLedger(
                "the hash chain is broken: this line was changed, added or lost", where
            )
        prev = event.hash
        events.append(event)
    return events


def check(events: Iterable[Event], where: str = NAME) -> Machine:
    """Walk the state machine over events; raises :class:`BrokenLedger` on an impossible one."""
    machine = Machine()
    for event in events:
        try:
            machine.check(event.kind, event.task, event.ordinal, event.data)
        except (IllegalTransition, KeyError, TypeError) as problem:
            raise BrokenLedger(str(problem), f"{where}:{event.seq + 1}") from problem
    return machine


def blob_path(cell_dir: Path, sha: str) -> Path:
    """Where a blob lies."""
    return cell_dir / "blobs" / sha[:2] / sha


def read_blob(cell_dir: Path, sha: str) -> str:
    """Text of a blob; ``""`` for the empty name. A missing or altered blob is a BrokenLedger."""
    if not sha:
        return ""
    try:
        data = blob_path(cell_dir, sha).read_bytes()
    except OSError as problem:
        raise BrokenLedger("blob is missing", f"{cell_dir.name}/blobs/{sha[:12]}") from problem
    if sha256(data) != sha:
        raise BrokenLedger("blob was changed", f"{cell_dir.name}/blobs/{sha[:12]}")
    return data.decode("utf-8", "replace")


def write_atomic(path: Path, data: bytes, mode: int = 0o644, sync: bool = False) -> None:
    """Write beside and rename: readers see the whole file or none. ``sync`` waits for the disk,
    for what was paid for; a killed process loses nothing either way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        if sync:
            os.fsync(stream.fileno())
    beside.replace(path)


_held: set[str] = set()  # POSIX record locks do not exclude threads of one process: this does
_held_guard = threading.Lock()


class Ledger:
    """The one writer of a cell. Takes the cell's lock, drops a torn tail, checks what is there.

    ``paid``: replies were paid for, so a call waits for the disk. Raises :class:`Held` if another
    process (or thread) writes the cell, :class:`BrokenLedger` on a file that cannot be continued.
    Thread-safe; a context manager."""

    def __init__(self, path: Path, paid: bool = True) -> None:
        self.path, self.dir, self._paid = path, path.parent, paid
        self.dir.mkdir(parents=True, exist_ok=True)
        self._guard = threading.Lock()
        self._unusable = ""
        self._by_task: dict[str, list[Event]] = {}
        self._begun: dict[str, int] = {}
        self._indexed = 0
        self._lock_file = self._acquire()
        with contextlib.ExitStack() as undo:
            undo.callback(self._release)
            self.events = read(path)
            self.torn = self.events.torn
            self._machine = check(self.events, f"{self.dir.name}/{path.name}")
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            if self.torn:
                os.ftruncate(self._file, os.fstat(self._file).st_size - self.torn)
            undo.pop_all()

    def _acquire(self) -> int:
        name = str(self.dir.resolve())
        with _held_guard:
            if name in _held:
                raise Held(self.dir, os.getpid())
            handle = os.open(self.dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pid = os.read(handle, 32).decode("ascii", "replace").strip()
                os.close(handle)
                raise Held(self.dir, int(pid) if pid.isdigit() else None) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            _held.add(name)
            return handle

    def _release(self) -> None:
        with _held_guard:
            _held.discard(str(self.dir.resolve()))
            os.ftruncate(self._lock_file, 0)
            os.close(self._lock_file)

    def append(
        self,
        kind: str,
        data: Mapping[str, Any],
        task: str | None = None,
        ordinal: int | None = None,
    ) -> Event:
        """Check and write one event; it is with the kernel when this returns (a paid call is on
        disk). Raises ``IllegalTransition`` and writes nothing if it cannot follow, ``Error`` if it
        cannot be written whole (nor can any later one then)."""
        # Through JSON text once, so that what a live run acts on is what a resumed run reads.
        body = json.loads(canonical(plain(data)))
        with self._guard:
            if self._unusable:
                raise Error(self._unusable, self.dir.name, _RESUME, code=BROKEN)
            self._machine.check(kind, task, ordinal, body)
            prev = self.events[-1].hash if self.events else GENESIS
            blank = Event(
                len(self.events), round(time.time(), 3), kind, task, ordinal, body, prev, ""
            )
            event = dataclasses.replace(blank, hash=blank.digest())
            fields = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
            line = (json.dumps(fields, separators=(",", ":")) + "\n").encode()
            self._write(line, sync=self._paid and kind in ("call", "step"))
            self.events.append(event)
            return event

    def _write(self, line: bytes, sync: bool) -> None:
        """The whole line, or nothing of it: after a full disk the file ends where it ended before,
        the machine stands where it stood, and this writer writes no more."""
        length = os.fstat(self._file).st_size
        try:
            if (written := os.write(self._file, line)) != len(line):
                raise OSError(f"{written} of {len(line)} bytes were written (is the disk full?)")
            if sync:
                os.fsync(self._file)
        except OSError as problem:
            self._unusable = f"the ledger cannot be written: {problem}"
            self._machine = check(self.events, self.dir.name)
            with contextlib.suppress(OSError):  # a torn tail that stays is dropped by the next run
                os.ftruncate(self._file, length)
            raise Error(self._unusable, self.dir.name, _RESUME, code=BROKEN) from problem

    def blob(self, data: str | bytes) -> str:
        """Store a text and return its SHA-256; ``""`` for an empty text."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        if not raw:
            return ""
        sha = sha256(raw)
        path = blob_path(self.dir, sha)
        if not path.exists():
            write_atomic(path, raw)
        return sha

    def events_of(self, task: str) -> list[Event]:
        """Events of a task since it was last begun: after a ``resume`` that names it, only those
        that followed."""
        found = self.all_of(task)
        return found[self._begun.get(task, 0) :]

    def all_of(self, task: str) -> list[Event]:
        """Every event of a task, from an index: a large cell has many tasks."""
        with self._guard:
            for event in self.events[self._indexed :]:
                if event.task is not None:
                    self._by_task.setdefault(event.task, []).append(event)
                for name in event.data.get("reopened", ()):
                    self._begun[name] = len(self._by_task.get(name, ()))
            self._indexed = len(self.events)
            return list(self._by_task.get(task, ()))

    @property
    def closed(self) -> bool:
        """Whether the cell is finished."""
        return self._machine.state == "closed"

    def close(self) -> None:
        """Give the lock back; safe to call twice."""
        if self._lock_file >= 0:
            os.close(self._file)
            self._release()
            self._lock_file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def holder(cell_dir: Path) -> int | None:
    """Pid of the living process that writes the cell, else None (display only)."""
    with _held_guard:
        if str(cell_dir.resolve()) in _held:
            return os.getpid()  # opening and closing the lock file here would drop our own lock
    try:
        pid = int((cell_dir / "lock").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def backend_of(events: Iterable[Event]) -> str:
    """The backend member of the cell, from its id in the ``open`` event."""
    for event in events:
        if event.kind == "control" and event.data.get("op") == "open":
            return str(event.data["cell"]).split("_")[3].replace("-", "_")
    raise BrokenLedger("no open event", NAME)


def verdict_of(cell_dir: Path, data: Mapping[str, Any], with_log: bool = True) -> Verdict:
    """The verdict of a ``verdict`` event, its log read back from the blob."""
    body = dict(data["verdict"])
    body["log"] = read_blob(cell_dir, body["log"]) if with_log else ""
    verdict: Verdict = from_json(Verdict, body)
    return verdict


def attempts(events: Iterable[Event], task: str, cell_dir: Path) -> list[Attempt]:
    """Judged attempts of a task in ordinal order, with sources and logs read from the blobs."""
    events = [event for event in events if event.task == task or event.kind == "control"]
    judged = {ordinal: row for ordinal, row in sorted(rows(events).items()) if "verdict" in row}
    backend = backend_of(events) if judged else ""
    return [attempt_of(cell_dir, backend, ordinal, row) for ordinal, row in judged.items()]


def rows(events: Iterable[Event]) -> dict[int, dict[str, Any]]:
    """Ordinal -> kind -> data of one task's events. Of steps and feedback an attempt may have
    several: those are lists, each feedback with the sequence number of its event as ``seq``."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.ordinal is None:
            continue
        row = found.setdefault(event.ordinal, {})
        if event.kind == "step":
            row.setdefault("step", []).append(event.data)
        elif event.kind == "feedback":
            row.setdefault("feedback", []).append({**event.data, "seq": event.seq})
        else:
            row[event.kind] = event.data
            if event.kind == "ask":
                row["asked_at"] = event.seq
    return found


def attempt_of(cell_dir: Path, backend: str, ordinal: int, row: Mapping[str, Any]) -> Attempt:
    """One attempt from its events (kind -> data, as :func:`rows` gives them)."""
    cut = row["candidate"]
    candidate = None
    if cut["candidate"] is not None:
        candidate = Candidate(read_blob(cell_dir, cut["source"]), cut["language"], backend)
    usage: Usage = from_json(Usage, row["call"]["usage"])
    steps = row.get("step", ())
    return Attempt(
        ordinal=ordinal,
        proposal=from_json(Proposal, row["ask"]["proposal"]),
        candidate=candidate,
        verdict=verdict_of(cell_dir, row["verdict"]),
        usage=sum((usage_of(one) for one in steps if one["what"] == "ask"), usage),
        duplicate_of=row["verdict"]["duplicate_of"],
        feedback=tuple((one["score"], one["note"]) for one in row.get("feedback", ())),
        tried_s=sum(one["seconds"] for one in steps if one["what"] == "verify"),
    )


def usage_of(step: Mapping[str, Any]) -> Usage:
    """The usage of a step that asked the model."""
    usage: Usage = from_json(Usage, step["usage"])
    return usage


def is_call(event: Event) -> bool:
    """Whether a model was asked: the call that writes an attempt, or a step that asks. A source
    that was given was no call."""
    if event.kind == "step":
        return bool(event.data["what"] == "ask")
    return event.kind == "call" and event.data["finish"] != "given"
