# SPDX-License-Identifier: Apache-2.0
"""A lab whose attempts are written by a step recipe, and what to read from its ledger."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubles import Lab, ScriptedModel, ToldVerifier, by_luck, fenced, kernel

from kernelcoder import ledger as ledgers
from kernelcoder.engine.asking import Setting
from kernelcoder.ledger import Ledger
from kernelcoder.methods import best_of_n, refine
from kernelcoder.records import ROLES, Request

# Options of every recipe, as a configuration might fill them.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "one_shot": {},
    "plan_code": {"plans": 3, "patience": 3},
    "diagnose": {"reflect": True},
    "debug_split": {"temperature_percent": 20},
    "ideas": {"count": 4, "alike_percent": 70},
    "param_sweep": {"trials": 6},
}
DRAFTS = (best_of_n, best_of_n.Options(hints=False))
CHAIN = (refine, refine.Options(width=1, focus_last=False, patience=0))


def member(name: str, **changes: Any) -> tuple[Any, Any]:
    """A recipe with its filled options."""
    module = importlib.import_module(f"kernelcoder.steps.{name}")
    return module, module.Options(**{**OPTIONS[name], **changes})


@dataclass
class RecipeLab(Lab):
    """A lab in which ``step`` writes the attempts, with ``changes`` to its options."""

    step: str = "one_shot"
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def setting(self) -> Setting:
        found = super().setting()
        mine = {self.step: member(self.step, **self.changes)}
        return dataclasses.replace(found, recipe=self.step, recipes={**found.recipes, **mine})


def lab(folder: Path, step: str, script: Callable[[Request], str], **more: Any) -> RecipeLab:
    """A lab of drafts (or of ``method``) with this recipe and these replies."""
    policy, options = more.pop("method", DRAFTS)
    verifier = more.pop("verifier", None) or ToldVerifier()
    model = more.pop("model", None) or ScriptedModel(script)
    return RecipeLab(folder, policy, options, model, verifier, step=step, **more)


def talker(**said: str | Callable[[Request], str]) -> Callable[[Request], str]:
    """A model that answers a role (or the purpose of a question) as told, kernels by luck."""

    def script(request: Request) -> str:
        found = said.get(request.role, said.get("kernel", by_luck))
        if isinstance(found, str):
            return found
        return found(request)

    return script


def write(outcome: str) -> Callable[[Request], str]:
    """Kernels of one outcome, each another text."""
    return lambda request: fenced(kernel(outcome, request.key[:6]))


def text_of(request: Request) -> str:
    """All that a request says."""
    return "\n".join(message.content for message in request.messages)


def kernels(model: ScriptedModel) -> list[Request]:
    """The requests for kernels, in order."""
    return [one for one in model.requests if one.role in ROLES]


def questions(model: ScriptedModel, purpose: str) -> list[Request]:
    """The questions of one purpose, in order."""
    return [one for one in model.requests if one.role == purpose]


def steps(ledger: Ledger) -> list[Mapping[str, Any]]:
    """What the recipes did, as recorded."""
    return [event.data for event in ledger.events if event.kind == "step"]


def notes(ledger: Ledger) -> list[str]:
    """What did not go as planned, as recorded."""
    return [
        note
        for event in ledger.events
        if event.kind == "call"
        for note in event.data.get("notes", ())
    ]


def attempts(ledger: Ledger) -> list[Any]:
    """The attempts of the one task."""
    return ledgers.attempts(ledger.events, "core/relu", ledger.dir)


def plans(*worths: tuple[str, float, float]) -> str:
    """An answer with these plans: text, gain, difficulty."""
    found = [{"plan": text, "gain": gain, "difficulty": hard} for text, gain, hard in worths]
    return json.dumps({"plans": found})
