# SPDX-License-Identifier: Apache-2.0
"""A model fills the parameter block of a skill, held to its JSON schema.

The schema travels with the question. ``embedded:guided`` masks every token that would leave it, so
an invalid block cannot be written; any other model answers freely, is checked, and is asked again
at most twice. How many blocks were invalid is counted, and reported by the name of the mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory.skill import asking, validation
from kernelcoder.memory.skill.schema import Skill
from kernelcoder.records import Message
from kernelcoder.task import Task

AGAIN = 2
_SYSTEM = "You choose the parameters of a kernel. Answer with one JSON object and nothing else."
_QUESTION = """Task: {title}. {description}
Reference in PyTorch:
```python
{reference}
```
Skill: {intent}
Its parameters as a JSON schema:
{schema}
For another task they were: {defaults}
Answer with one JSON object of parameters for this task."""


def fill(skill: Skill, task: Task, io: IO) -> asking.Answer:
    """A valid parameter block for a task, or None in the answer's ``data``."""

    def check(value: Any) -> list[str]:
        return validation.problems(value, skill.parameters)

    data: Mapping[str, Any] = {
        "kind": "fill",
        "schema": dict(skill.parameters),
        "defaults": dict(skill.defaults),
    }
    text = _QUESTION.format(
        title=task.title,
        description=task.description.strip(),
        reference=task.reference_source.strip(),
        intent=skill.intent,
        schema=json.dumps(skill.parameters),
        defaults=json.dumps(dict(skill.defaults)),
    )
    messages = (Message("system", _SYSTEM), Message("user", text))
    return asking.ask(io, "fill", messages, check, data, AGAIN, max_tokens=512)
