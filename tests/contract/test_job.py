"""The job: values out of range never reach the worker, and the cache key changes with what changes the result."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from amr_blender.contract.errors import SettingsError
from amr_blender.contract.job import Job

FULL = Job(
    video="/clips/a.mp4",
    out="/takes/a.npz",
    images=("1.png", "2.png"),
    image_fps=23.976,
    frame_start=3,
    frame_end=90,
    person=1,
    actor_height_m=1.8,
    focal_px=1500.0,
    quality="best",
    device="cpu",
    cache="/cache",
    assets="/assets",
    body_file="/models/SMPLX_NEUTRAL.npz",
)


@pytest.mark.parametrize("job", [FULL, Job("a.mp4", "a.npz"), Job("a.mp4", "folder", action="people")])
def test_round_trip(job: Job) -> None:
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    "change",
    [
        {"video": ""},
        {"action": "dance"},
        {"quality": "perfect"},
        {"device": "tpu"},
        {"frame_start": -1},
        {"frame_start": 5, "frame_end": 5},
        {"frame_start": 5, "frame_end": 2},
        {"actor_height_m": 0.0},
        {"actor_height_m": 180.0},
        {"actor_height_m": float("nan")},
        {"focal_px": 0.0},
        {"focal_px": float("inf")},
        {"person": -1},
        {"image_fps": 0.0},
        {"image_fps": float("nan")},
    ],
    ids=str,
)
def test_values_that_make_no_sense(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        Job(**{"video": "a.mp4", "out": "a.npz"} | change)
    assert caught.value.message.endswith(".")
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "3", "{}", '{"video": "a"}', '{"video": "a", "out": "b", "more": 1}', "[" * 100_000]
    + [json.dumps(asdict(FULL) | change) for change in ({"frame_start": "1"}, {"images": 3}, {"actor_height_m": "x"})],
    ids=lambda t: t[:20],
)
def test_text_that_is_no_job(text: str) -> None:
    with pytest.raises(SettingsError):
        Job.from_json(text)


def test_cache_key_follows_what_changes_the_result() -> None:
    key = FULL.cache_key("clip", "engine")
    assert key == FULL.cache_key("clip", "engine")
    assert len(key) == 32
    others = [FULL.cache_key("other clip", "engine"), FULL.cache_key("clip", "other engine")]
    others.append(FULL.cache_key("clip", "engine", "other body"))
    changes: dict[str, Any] = {
        "image_fps": 24.0,
        "frame_start": 4,
        "frame_end": None,
        "range_fps": 29.97,
        "person": None,
        "actor_height_m": None,
        "focal_px": None,
        "quality": "draft",
        "device": "auto",
    }
    others += [replace(FULL, **{name: value}).cache_key("clip", "engine") for name, value in changes.items()]
    assert len({key, *others}) == len(others) + 1
    places: dict[str, Any] = {"out": "x", "assets": "", "cache": "", "video": "moved.mp4", "images": ("1.png",)}
    places["body_file"] = "moved.npz"
    assert {replace(FULL, **{name: value}).cache_key("clip", "engine") for name, value in places.items()} == {key}
    assert {f.name for f in fields(Job)} == {*changes, *places, "action"}, "decide where the new field belongs"


def test_written_folders() -> None:
    assert FULL.written_folders() == [Path("/takes"), *(Path("/cache") / n for n in ("people", "landmarks", "takes"))]
    assert Job("a.mp4", "/thumbs", action="people").written_folders() == [Path("/thumbs")]
