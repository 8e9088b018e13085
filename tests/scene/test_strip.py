"""The strip as Blender plays it: what is rendered decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import SceneError
from amr_blender.scene.strip import StripTiming, check_strip, read_strip, selected_strip

from .numbered_footage import (
    add_images,
    add_movie,
    in_sequencer,
    shown,
    strips,
    write_images,
    write_movie,
)

COUNT = 40


@pytest.fixture(scope="session")
def movie_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    return write_movie(bpy, tmp_path_factory.mktemp("movie"), COUNT)


def _same_as_rendered(bpy: ModuleType, strip: Any, folder: Path) -> StripTiming:
    """Compare every scene frame of the strip with the rendered sequencer."""
    clip = read_strip(bpy.context.scene, strip)
    timing = StripTiming.from_json(clip.timing.to_json())
    assert (timing.scene_start, timing.scene_end) == (strip.frame_final_start, strip.frame_final_end - 1)
    rendered = [shown(bpy, folder, int(f)) for f in timing.scene_frames]
    pictures = timing.picture_at(timing.scene_frames)
    # On an exact half Blender's floats may fall either way.
    half = np.abs(timing.source_frame_at(timing.scene_frames) % 1 - 0.5) < 1e-4
    np.testing.assert_array_equal(pictures[~half], np.array(rendered)[~half])
    assert np.abs(pictures - rendered).max() <= 1
    assert np.abs(timing.source_frame_at(timing.scene_frames) - pictures).max() <= 0.5 + 1e-6
    assert clip.frame_start <= min(rendered)
    assert max(rendered) < clip.frame_end <= COUNT
    return timing


@pytest.mark.parametrize(
    ("fps", "base", "at_media_rate"),
    [(30, 1.001, True), (24, 1.0, True), (60, 1.0, True), (25, 1.0, True), (30, 1.0, True), (24, 1.0, False)],
)
def test_picture_at_scene_rates(
    blender: ModuleType, movie_file: Path, tmp_path: Path, fps: int, base: float, at_media_rate: bool
) -> None:
    blender.context.scene.render.fps, blender.context.scene.render.fps_base = fps, base
    strip = add_movie(blender, movie_file, 10, at_media_rate)
    timing = _same_as_rendered(blender, strip, tmp_path)
    assert timing.rate == pytest.approx(30 / 1.001 / (fps / base) if at_media_rate else 1.0)
    assert timing.source_fps == pytest.approx(30 / 1.001)


def test_scene_rate_changed_after_adding(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    blender.context.scene.render.fps = 24
    strip = add_movie(blender, movie_file, 10, True)
    blender.context.scene.render.fps = 50
    _same_as_rendered(blender, strip, tmp_path)


def _trim(strip: Any) -> None:
    strip.frame_offset_start, strip.frame_offset_end = 7, 5


def _reverse(strip: Any) -> None:
    _trim(strip)
    strip.use_reverse_frames = True


def _hold(strip: Any) -> None:
    """Pulled longer than its file on both sides."""
    strip.frame_offset_start, strip.frame_offset_end = -4, -6


def _cut(strip: Any) -> None:
    strip.animation_offset_start, strip.animation_offset_end = 5, 3


def _strobe(strip: Any) -> None:
    strip.strobe = 3


def _moved(strip: Any) -> None:
    _trim(strip)
    strip.frame_start = -20


def _cut_and_reversed(strip: Any) -> None:
    _cut(strip)
    _reverse(strip)


@pytest.mark.parametrize("change", [_trim, _reverse, _hold, _cut, _strobe, _moved, _cut_and_reversed])
@pytest.mark.parametrize("fps", [24, 30])
def test_picture_of_changed_strips(
    blender: ModuleType, movie_file: Path, tmp_path: Path, fps: int, change: Callable[[Any], None]
) -> None:
    blender.context.scene.render.fps = fps
    strip = add_movie(blender, movie_file, 10, True)
    change(strip)
    _same_as_rendered(blender, strip, tmp_path)


@pytest.mark.parametrize("change", [None, _trim, _reverse, _hold, _cut])
def test_picture_of_images(blender: ModuleType, tmp_path: Path, change: Callable[[Any], None] | None) -> None:
    blender.context.scene.render.fps = 25
    paths = write_images(tmp_path, COUNT, first=17)
    strip = add_images(blender.context.scene, paths, 5)
    if change:
        change(strip)
    timing = _same_as_rendered(blender, strip, tmp_path)
    clip = read_strip(blender.context.scene, strip)
    assert clip.path == str(paths[0])
    assert list(clip.images) == [p.name for p in paths[: len(clip.images)]]
    assert len(clip.images) >= clip.frame_end
    assert clip.image_fps == timing.source_fps == 25


def test_single_image(blender: ModuleType, tmp_path: Path) -> None:
    strip = add_images(blender.context.scene, write_images(tmp_path, 1), 3)
    strip.frame_final_duration = 20
    clip = read_strip(blender.context.scene, strip)
    assert (clip.frame_start, clip.frame_end, len(clip.images)) == (0, 1, 1)
    assert not clip.timing.picture_at(clip.timing.scene_frames).any()


def test_shorter_file_than_strip(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    """The file was replaced by a shorter one after the strip was made."""
    path = tmp_path / "clip.mp4"
    shutil.copy(movie_file, path)
    blender.context.scene.render.fps = 24
    strip = add_movie(blender, path, 1, True)
    shutil.copy(write_movie(blender, tmp_path, 12), path)
    clip = read_strip(blender.context.scene, strip)
    assert clip.frame_end == 12
    assert clip.timing.picture_at(clip.timing.scene_end) == 11
    assert clip.timing.rate == pytest.approx(30 / 1.001 / 24)


def test_relative_path(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "with space ä.mp4"
    shutil.copy(movie_file, path)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    strip = strips(blender.context.scene).new_movie("movie", "//" + path.name, 1, 1)
    assert read_strip(blender.context.scene, strip).path == str(path)


def test_reading_changes_nothing(blender: ModuleType, movie_file: Path) -> None:
    strip = add_movie(blender, movie_file, 1, True)
    before = len(blender.data.movieclips), len(blender.data.images), blender.context.scene.frame_current
    read_strip(blender.context.scene, strip)
    assert (len(blender.data.movieclips), len(blender.data.images), blender.context.scene.frame_current) == before


def _mirror(strip: Any) -> None:
    strip.use_flip_x = True


def _crop(strip: Any) -> None:
    strip.crop.max_x = 4


def _rotate(strip: Any) -> None:
    strip.transform.rotation = 1.5708


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_mirror, "strip-mirrored"),
        (_crop, "strip-cropped"),
        (_rotate, "strip-rotated"),
    ],
)
def test_refused_changes(blender: ModuleType, movie_file: Path, change: Callable[[Any], None], code: str) -> None:
    strip = add_movie(blender, movie_file, 1, True)
    check_strip(blender.context.scene, strip)
    change(strip)
    _refused(blender, strip, code)


def _refused(bpy: ModuleType, strip: Any, code: str) -> None:
    with pytest.raises(SceneError) as caught:
        read_strip(bpy.context.scene, strip)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert caught.value.remedy.endswith(".")


def test_retimed_movie_is_refused(blender: ModuleType, movie_file: Path) -> None:
    strip = add_movie(blender, movie_file, 1, True)
    _retime(blender, strip)
    _refused(blender, strip, "strip-retimed")


def test_retimed_images_are_refused(blender: ModuleType, tmp_path: Path) -> None:
    strip = add_images(blender.context.scene, write_images(tmp_path, COUNT), 1)
    _retime(blender, strip)
    _refused(blender, strip, "strip-retimed")


def _retime(bpy: ModuleType, strip: Any) -> None:
    strip.select = True
    bpy.context.scene.sequence_editor.active_strip = strip
    with in_sequencer(bpy):
        bpy.ops.sequencer.retiming_segment_speed_set(speed=50)


def test_speed_effect_is_refused(blender: ModuleType, movie_file: Path) -> None:
    scene = blender.context.scene
    strip = add_movie(blender, movie_file, 1, True)
    if blender.app.version >= (5, 0, 0):
        effect = strips(scene).new_effect("speed", "SPEED", 2, frame_start=1, length=20, input1=strip)
    else:
        effect = strips(scene).new_effect("speed", "SPEED", 2, frame_start=1, frame_end=20, seq1=strip)
    _refused(blender, strip, "strip-speed-effect")
    _refused(blender, effect, "strip-type")


def test_meta_strip_is_refused(blender: ModuleType, movie_file: Path) -> None:
    strip = add_movie(blender, movie_file, 1, True)
    meta = strips(blender.context.scene).new_meta("meta", 3, 1)
    strip.move_to_meta(meta)
    _refused(blender, strip, "strip-in-meta")


def test_stretched_time_is_refused(blender: ModuleType, movie_file: Path) -> None:
    strip = add_movie(blender, movie_file, 1, True)
    blender.context.scene.render.frame_map_new = 50
    _refused(blender, strip, "scene-time-stretched")


def test_missing_files_are_refused(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.mp4"
    shutil.copy(movie_file, path)
    strip = add_movie(blender, path, 1, True)
    path.unlink()
    _refused(blender, strip, "strip-file-missing")
    images = write_images(tmp_path, 5)
    sequence = add_images(blender.context.scene, images, 100)
    images[3].unlink()
    _refused(blender, sequence, "strip-file-missing")


def test_text_named_mp4_is_refused(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(movie_file, path)
    strip = add_movie(blender, path, 1, True)
    path.write_text("no movie")
    _refused(blender, strip, "strip-unreadable")


def test_nothing_is_refused(blender: ModuleType) -> None:
    _refused(blender, None, "strip-none")


def test_other_kinds_are_refused(blender: ModuleType) -> None:
    extra = {"length": 20} if blender.app.version >= (5, 0, 0) else {"frame_end": 20}
    colour = strips(blender.context.scene).new_effect("colour", "COLOR", 1, frame_start=1, **extra)
    _refused(blender, colour, "strip-type")


def test_selected_strip(blender: ModuleType, movie_file: Path, tmp_path: Path) -> None:
    scene = blender.context.scene
    with pytest.raises(SceneError) as caught:
        selected_strip(scene)
    assert caught.value.code == "strip-none"
    first = add_movie(blender, movie_file, 1, True)
    second = add_images(scene, write_images(tmp_path, 3), 200)
    first.select, second.select = True, True
    scene.sequence_editor.active_strip = None
    with pytest.raises(SceneError) as caught:
        selected_strip(scene)
    assert caught.value.code == "strip-several"
    second.select = False
    assert selected_strip(scene) == first
    second.select = True
    scene.sequence_editor.active_strip = second
    assert selected_strip(scene) == second


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rate": 1}', '{"scene_start": "a"}'])
def test_damaged_timing(text: str) -> None:
    with pytest.raises(SceneError) as caught:
        StripTiming.from_json(text)
    assert caught.value.code == "timing-invalid"
