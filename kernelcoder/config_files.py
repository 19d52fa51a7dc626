# SPDX-License-Identifier: Apache-2.0
"""Named configurations: defconfigs, fragments, and the files made from them.

A defconfig is exactly what ``savedefconfig`` writes below a first line ``# Help: ...``; a fragment
holds a few settings to lay over one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder import config, paths
from kernelcoder.config import Draft, Settings, Value, display, read, show
from kernelcoder.config_lines import Assignment, nearest, parse
from kernelcoder.errors import Error

HELP = "# Help: "
HELP_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One symbol that differs; None stands for "not there"."""

    name: str
    old: Value | None
    new: Value | None

    def __str__(self) -> str:
        if self.old is None:
            return f"+{self.name} {show(self.new)}"  # type: ignore[arg-type]
        if self.new is None:
            return f"-{self.name} {show(self.old)}"
        return f" {self.name} {show(self.old)} -> {show(self.new)}"


def _folder() -> Path:
    return paths.ROOT / "defconfigs"


def defconfigs() -> dict[str, Path]:
    """Name -> file of every defconfig."""
    return {path.name: path for path in sorted(_folder().iterdir()) if path.is_file()}


def fragments() -> dict[str, Path]:
    """Name without ``.config`` -> file. ``KERNELCODER_FRAGMENTS`` names further folders, which
    win over the shipped ones."""
    folders = [_folder() / "fragments"]
    folders += [Path(p) for p in os.environ.get("KERNELCODER_FRAGMENTS", "").split(os.pathsep) if p]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.config"))}


def help_line(path: Path) -> str:
    """The text of the first line ``# Help: ...``, or ""."""
    first = read(path).partition("\n")[0]
    return first.removeprefix(HELP) if first.startswith(HELP) else ""


def find(name: str, kinds: Sequence[str] = ("defconfig", "fragment")) -> Path:
    """The file of a defconfig or fragment; an unknown name is an :class:`Error`."""
    known: dict[str, Path] = {}
    if "fragment" in kinds:
        known.update(fragments())
    if "defconfig" in kinds:
        known.update(defconfigs())
    if name in known:
        return known[name]
    near = nearest(name, known)
    fix = f"did you mean {near}?" if near else "make list-defconfigs shows all"
    raise Error(f"there is no {' or '.join(kinds)} {name!r}", fix=fix)


def resolve(name: str) -> Settings:
    """Settings of a defconfig name, of ``a+b``, or of a file; a file wins over a name."""
    path = Path(name)
    if "/" in name or path.suffix == ".config" or name == ".config":
        return config.load(path, ())
    return merged(name.split("+")).finish(name)


def merged(names: Sequence[str]) -> Draft:
    """A defconfig with fragments (or further defconfigs) laid over it, in order."""
    draft = Draft()
    for position, name in enumerate(names):
        path = find(name, ("defconfig",) if position == 0 else ("fragment", "defconfig"))
        draft.add(read(path), display(path), handwritten=True)
    return draft


def write(draft: Draft, path: Path, source: str) -> list[str]:
    """Check a draft and write it as a full configuration. Returns the notes of the merge."""
    draft.finish(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.kconf.write_config(str(path), header=config.HEADER)
    return draft.notes


def minimal(draft: Draft) -> str:
    """What savedefconfig writes: only settings that differ from the defaults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "defconfig"
        draft.kconf.write_min_config(str(path), header="")
        return path.read_text(encoding="utf-8")


def with_help(text: str, body: str) -> str:
    """A defconfig file: its help line (at most 60 characters), then the settings."""
    if not text or len(text) > HELP_LENGTH or "\n" in text:
        fix = f'give one of 1 to {HELP_LENGTH} characters: HELP="..."'
        raise Error(f"the help line has {len(text)} characters", fix=fix)
    return f"{HELP}{text}\n{body}"


def current() -> Draft:
    """The current configuration with the overrides of the command line, not yet checked."""
    path = paths.config_file()
    draft = Draft()
    text = read(path)
    draft.add(text, display(path), handwritten=not config.generated(text))
    config.apply_overrides(draft)
    return draft


def defaults() -> Draft:
    """The configuration in which nothing was set."""
    return Draft()


def everything() -> Draft:
    """Every switch on that can be: the full matrix."""
    draft = Draft()
    for option in draft.options.values():
        sym = draft.kconf.syms[option.name]
        if option.kind == "bool" and option.prompt and sym.choice is None:
            sym.set_value("y")
    return draft


def _assigned(path: Path) -> dict[str, str]:
    """Symbol -> line of every assignment of a file, good or not."""
    found = {}
    for line in read(path).splitlines():
        unset = line.startswith("# CONFIG_") and line.endswith(" is not set")
        if line.startswith("CONFIG_") or unset:
            found[line.removeprefix("# ").removeprefix("CONFIG_").split("=")[0].split()[0]] = line
    return found


def update(path: Path) -> tuple[Draft, list[str]]:
    """A configuration brought up to date with the tree, and a sentence per difference.

    Unknown, illegal and ineffective values are dropped, new symbols get their default."""
    draft, text, said = Draft(), read(path), []
    assignments, problems = parse(text, display(path), draft.options, handwritten=False)
    said += [f"dropped  {problem.where}: {problem.what}" for problem in problems]
    for assignment in assignments:
        draft.kconf.syms[assignment.name].set_value(_as_text(assignment))
    values = draft.values()
    for item in assignments:
        if values[item.name] != item.value:
            change = f"{show(item.value)} -> {show(values[item.name])}"
            said.append(f"changed  {item.name} {change}")
    said += [f"added    {name} {show(values[name])}" for name in new(path, draft)]
    return draft, said


def _as_text(assignment: Assignment) -> str:
    value = assignment.value
    return ("y" if value else "n") if isinstance(value, bool) else str(value)


def new(path: Path, draft: Draft | None = None) -> list[str]:
    """Prompted symbols that apply to a configuration and that it does not mention."""
    if draft is None:
        draft = Draft()
        assignments, _ = parse(read(path), display(path), draft.options, handwritten=False)
        for assignment in assignments:
            draft.kconf.syms[assignment.name].set_value(_as_text(assignment))
    known = _assigned(path)
    return [
        name
        for name, option in draft.options.items()
        if option.prompt and name not in known and draft.kconf.syms[name].visibility
    ]


def differences(old: Settings, new_: Settings) -> list[Change]:
    """Prompted symbols whose values differ, in menu order."""
    return [
        Change(name, old.values.get(name), new_.values.get(name))
        for name, option in new_.options.items()
        if option.prompt and old.values.get(name) != new_.values.get(name)
    ]
