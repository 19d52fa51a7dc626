# SPDX-License-Identifier: Apache-2.0
"""A run to be killed: three tasks at once, every model call noted in a file. Not a test itself.

``python killed_child.py FOLDER METHOD`` prints the content digest when it gets to the end."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from pathlib import Path

from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, by_luck

from kernelcoder.budget import Account, Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.search import TaskRun
from kernelcoder.errors import Error
from kernelcoder.ledger import Ledger
from kernelcoder.records import Request

OPTIONS = {"refine": (2, False, 3), "metr": (2, 100, 5, 0, 200), "scs": (2,), "best_of_n": (False,)}


def main(folder: Path, method: str) -> int:
    policy = importlib.import_module(f"kernelcoder.methods.{method}")
    calls = os.open(folder / "asked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(request: Request) -> str:
        time.sleep(0.002)
        os.write(calls, f"{request.digest}\n".encode())
        return by_luck(request)

    options = policy.Options(*OPTIONS[method])
    lab = Lab(folder, policy, options, ScriptedModel(note), ToldVerifier(0.004), window=2)
    stop = threading.Event()
    caller = Caller(lab.model, 0, stop)
    try:
        ledger = Ledger(folder / CELL / "ledger.jsonl")
    except Error as error:
        sys.stdout.write(f"{error}\n")
        return 1
    with ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        elif not ledger.closed:
            ledger.append("control", {"op": "resume", "pid": os.getpid(), "reopened": []})
        runs = [
            TaskRun(
                lab.setting(), task, ledger, Account("task", Caps()), caller, stop, lambda *_: None
            )
            for task in POOL[:3]
        ]
        threads = [threading.Thread(target=run.run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not ledger.closed:
            ledger.append("control", {"op": "close"})
    sys.stdout.write(f"{content_digest(ledger.events)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
