# SPDX-License-Identifier: Apache-2.0
"""Replay answers from recordings and names exactly what was never recorded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kernelcoder.errors import Error
from kernelcoder.models import TransportError, replay
from kernelcoder.recordings import Recordings
from kernelcoder.records import Message, Reply, Request, Sampling, Usage

REQUEST = Request(
    "recipe:v1", (Message("user", "Hi"),), Sampling(1.0, 64, 3), "k", "core/relu", "draft"
)
REPLY = Reply("```cpp\n```", "stop", Usage(1, 2, cost_usd=0.5), "served", 0.25, "sent")


def options(folder: Path, of: str = "recipe:v1") -> replay.Options:
    return replay.Options("replay:recorded", str(folder), of)


def test_a_recorded_reply_comes_back_whole(tmp_path: Path) -> None:
    Recordings(tmp_path).record(REQUEST, REPLY)
    model = replay.open(options(tmp_path), tmp_path)
    assert model.complete(dataclasses.replace(REQUEST, model="replay:recorded")) == REPLY
    model.close()


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(0.9, 64, 3)},
        {"messages": (Message("user", "Ho"),)},
        {"key": "other"},
        {"role": "refine"},
    ],
)
def test_anything_else_is_a_permanent_miss(tmp_path: Path, change: dict[str, object]) -> None:
    Recordings(tmp_path).record(REQUEST, REPLY)
    asked = dataclasses.replace(REQUEST, model="replay:recorded", **change)  # type: ignore[arg-type]
    with pytest.raises(TransportError) as caught:
        replay.open(options(tmp_path), tmp_path).complete(asked)
    assert not caught.value.retryable
    digest = dataclasses.replace(asked, model="recipe:v1").digest
    for word in ("core/relu", asked.role, digest):
        assert word in str(caught.value)


def test_another_model_is_a_miss(tmp_path: Path) -> None:
    Recordings(tmp_path).record(REQUEST, REPLY)
    with pytest.raises(TransportError, match="openai:x"):
        replay.open(options(tmp_path, "openai:x"), tmp_path).complete(REQUEST)


def test_a_broken_recording_is_named(tmp_path: Path) -> None:
    path = Recordings(tmp_path).path(REQUEST.digest)
    path.parent.mkdir()
    path.write_text('{"reply": {"text"')
    with pytest.raises(TransportError, match="is no recording"):
        replay.open(options(tmp_path), tmp_path).complete(REQUEST)


def test_not_ready(tmp_path: Path) -> None:
    assert "no recordings" in replay.ready(options(tmp_path / "nothing"))
    assert "MODEL_REPLAY_OF" in replay.ready(options(tmp_path, "recipe"))
    assert replay.ready(options(tmp_path)) == ""
    with pytest.raises(Error):
        replay.open(options(tmp_path / "nothing"), tmp_path)


def test_the_machine_s_own_recordings_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    monkeypatch.setenv("KERNELCODER_MACHINE", "box")
    chosen = replay.Options("replay:recorded", "", "recipe:v1")
    assert replay.folder(chosen) == tmp_path.resolve() / "results" / "box" / "calls"
