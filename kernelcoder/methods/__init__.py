# SPDX-License-Identifier: Apache-2.0
"""Search methods: one policy per file, each a function from history to the next proposal.

A member ``METHOD_FOO`` is the module ``kernelcoder/methods/foo.py`` with

- ``Options``: a frozen dataclass without defaults, filled from the symbols ``METHOD_FOO_*``
  (field ``depth`` <- ``METHOD_FOO_DEPTH``; an option-less method has an empty dataclass);
- ``propose(history: History, rng: random.Random, options: Options) -> Proposal | STOP``:
  pure, no state of its own, no randomness but ``rng``, never a parent it cannot see
  (``parent <= history.ordinal - history.window``);
- ``draft_only: bool``: True if proposals never depend on results (the engine may then keep every
  worker busy whatever the window);
- ``anytime: bool``: False if the method needs to know its budget (BUDGET then enters the cell id);
- ``at_most: int`` (optional): attempts per task it never exceeds, whatever BUDGET says;
- ``HISTORY: int`` (optional): one-line summaries of its chain's latest attempts in each prompt;
- ``STEPS: tuple[str, ...]`` (optional): step recipes that its proposals name in ``step``.

A memory's seeds may take the first ordinals: a method counts its drafts (``history.issued``), never
ordinals, and builds on a seed that is right.

The engine adds the proposal's ``key`` when the method leaves it empty. A method imports
``kernelcoder.records`` and ``kernelcoder.history`` and nothing else of the lab. Folders here are
parts of a method, not members.
"""
