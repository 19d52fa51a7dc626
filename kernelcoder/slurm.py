# SPDX-License-Identifier: Apache-2.0
"""A job script for SLURM from a configuration: one array task per share of the cells.

The script carries the configuration it was made from, so a later change of ``.config`` does not
reach a waiting job. It is made to be stopped and begun again: SLURM sends SIGINT before the limit,
a bench then ends cleanly, and a requeued job goes on where it stopped.

Source of the forms checked: sbatch(1) of SLURM: directives are lines ``#SBATCH --name[=value]``
before the first command; time is minutes, M:S, H:M:S or D-H[:M[:S]]; memory has a unit K, M, G, T.
"""

from __future__ import annotations

import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernelcoder.errors import Error, Problem

WARN_SECONDS = 180  # a bench ends within this after SIGINT: one verdict, no final timing
SLACK = 2.0  # of the estimated time: other nodes are slower, and queues have limits anyway
LEAST_MINUTES = 30
MARK = "KERNELCODER_CONFIG"
_TIME = re.compile(r"\d+|\d+:\d{2}|\d+:\d{2}:\d{2}|\d+-\d{1,2}(:\d{2}){0,2}")
_ARRAY = re.compile(r"\d+(-\d+(:\d+)?)?(,\d+(-\d+(:\d+)?)?)*(%\d+)?")
_NUMBER = re.compile(r"[1-9]\d*")
_WORD = re.compile(r"[\w./%+:,=-]+")
# The options this writes, or takes from --sbatch, and what their values look like.
OPTIONS: Mapping[str, re.Pattern[str] | None] = {
    "job-name": re.compile(r"[\w.+-]{1,64}"),
    "array": _ARRAY,
    "time": _TIME,
    "nodes": _NUMBER,
    "ntasks": _NUMBER,
    "cpus-per-task": _NUMBER,
    "mem": re.compile(r"\d+[KMGT]?"),
    "gres": re.compile(r"\w+(:[\w.-]+)?(:\d+)?(,\w+(:[\w.-]+)?(:\d+)?)*"),
    "partition": _WORD,
    "account": _WORD,
    "qos": _WORD,
    "constraint": re.compile(r"[\w.&|*\[\]()+-]+"),
    "signal": re.compile(r"([BR]{1,2}:)?(\d+|[A-Z]+\d?)(@\d+)?"),
    "output": _WORD,
    "open-mode": re.compile(r"append|truncate"),
    "requeue": None,
    "exclusive": None,
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a job asks for. ``minutes`` is the limit of one array task, ``machine`` the name under
    which the results of all nodes lie, ``extra`` further options as sbatch takes them."""

    name: str
    shards: int
    minutes: int
    cpus: int
    memory_gib: int
    gpus: int
    exclusive: bool
    machine: str
    extra: tuple[str, ...] = ()


def minutes_of(seconds: float | None, shards: int, cap: int) -> int:
    """The limit of one array task: the estimated time shared evenly, with slack, in steps of half
    an hour; never more than ``cap`` minutes allow (0 is no cap)."""
    shared = (seconds or 0.0) * SLACK / shards / 60 + WARN_SECONDS / 60
    found = max(LEAST_MINUTES, math.ceil(shared / LEAST_MINUTES) * LEAST_MINUTES)
    return min(found, cap + WARN_SECONDS // 60) if cap else found


def clock(minutes: int) -> str:
    """D-HH:MM:SS as sbatch reads it."""
    days, rest = divmod(minutes, 24 * 60)
    return f"{days}-{rest // 60:02}:{rest % 60:02}:00"


def script(job: Job, config: str) -> str:
    """The job script, the configuration in it. Raises ``Error`` where sbatch would refuse it."""
    if MARK in config:
        raise Error(f"the configuration holds the word {MARK}, which ends it in the script")
    directives = [
        f"job-name={job.name}",
        f"array=1-{job.shards}",
        f"time={clock(job.minutes)}",
        "nodes=1",
        "ntasks=1",
        f"cpus-per-task={job.cpus}",
        f"mem={job.memory_gib}G",
        *([f"gres=gpu:{job.gpus}"] if job.gpus else []),
        *(["exclusive"] if job.exclusive else []),
        f"signal=B:INT@{WARN_SECONDS}",
        "requeue",
        "open-mode=append",
        "output=slurm-%x-%A_%a.log",
        *job.extra,
    ]
    lines = ["#!/bin/bash", *(f"#SBATCH --{one}" for one in directives), _BODY.format(
        mark=MARK, config=config.rstrip("\n"), shards=job.shards, machine=shlex.quote(job.machine),
    )]  # fmt: skip
    text = "\n".join(lines)
    broken = [
        Problem("", f"an option over several lines: {one!r}") for one in directives if "\n" in one
    ]
    if problems := [*broken, *faults(text)]:
        raise Error("sbatch would not take this script", "", "see --help", problems)
    return text


# The bench replaces the shell, to which B: sends the signal.
_BODY = """
# Made from a configuration by the command slurm. Submit it in the checkout: sbatch THIS_FILE
# Needs no network on the node: run `make bench` or `make doctor` once where there is one.
set -euo pipefail
cd "${{SLURM_SUBMIT_DIR:-.}}"
if [ ! -x .venv/bin/python ]; then
    echo "no environment here: run make doctor in the checkout first, where there is a network" >&2
    exit 3
fi
# Nodes of one kind share a name: results of other kinds must not lie beside these.
export KERNELCODER_MACHINE={machine}
config="${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/kernelcoder-${{SLURM_JOB_ID:-0}}-$$.config"
cat > "$config" <<'{mark}'
{config}
{mark}
exec .venv/bin/python -m kernelcoder bench --config "$config" \\
    --shard "${{SLURM_ARRAY_TASK_ID:-1}}/{shards}"
"""


def faults(text: str) -> list[Problem]:
    """What sbatch would refuse or silently ignore in a script, as far as it can be told offline."""
    lines = text.splitlines()
    found = []
    if not lines or not re.match(r"#! ?/\S+", lines[0]):
        found.append(Problem("line 1", "a job script begins with #! and an interpreter"))
    commands = False
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        if not line.startswith("#SBATCH"):
            commands = commands or bool(line.strip() and not line.startswith("#"))
            continue
        if commands:
            found.append(Problem(f"line {number}", "a directive after a command is ignored"))
        for what in _directive(line, seen):
            found.append(Problem(f"line {number}", what))
    return found


def _directive(line: str, seen: set[str]) -> list[str]:
    match = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(.*))?", line)
    if match is None:
        return [f"not of the form #SBATCH --name=value: {line!r}"]
    name, value = match[1], match[2]
    again = [f"--{name} stands there twice"] if name in seen else []
    seen.add(name)
    if name not in OPTIONS:
        return [*again, f"--{name} is no option that is known here"]
    wanted = OPTIONS[name]
    if (value is None) != (wanted is None):
        return [*again, f"--{name} {'takes no' if wanted is None else 'needs a'} value"]
    if wanted is not None and not wanted.fullmatch(value or ""):
        return [*again, f"--{name} does not take {value!r}"]
    return again


def dry(path: str) -> list[str]:
    """What bash says of the script's syntax and, where it is installed, sbatch of submitting it;
    nothing is submitted. Raises ``Error`` if one of them refuses it."""
    said = []
    for command in (["bash", "-n", path], ["sbatch", "--test-only", path]):
        if shutil.which(command[0]) is None:
            said.append(f"{command[0]} is not installed here: not asked")
            continue
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        text = (done.stderr or done.stdout).strip()
        if done.returncode:
            raise Error(f"{' '.join(command[:2])} refuses the script: {text}", path)
        said.append(f"{' '.join(command[:2])}: {text or 'no fault found'}")
    return said


def check_extra(options: Sequence[str]) -> tuple[str, ...]:
    """Options of --sbatch without their dashes."""
    return tuple(one.removeprefix("--") for one in options)
