"""Through the camera, body and footage coincide."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract import spaces
from amr_blender.contract.take import Take
from amr_blender.scene.bring_in import ImportOptions, Result, bring_in
from amr_blender.scene.camera import _image_numbers, add_footage
from amr_blender.scene.strip import StripClip, read_strip
from amr_blender.scene.timing import StripTiming, timing_without_strip

from .numbered_footage import HEIGHT, WIDTH, add_images, add_movie, read_number, write_images, write_movie
from .take_factory import make_take


def _import(bpy: ModuleType, take: Take, footage: StripClip | None = None) -> Result:
    fps = take.meta["source"]["fps"]
    timing = footage.timing if footage else timing_without_strip(take.time_s, fps, fps, 1)
    return bring_in(bpy.context, take, timing, ImportOptions(baked=False, footage=footage))


def _wanted_px(take: Take, frame: int, points_world_m: Any) -> Any:
    points_cam_m = spaces.transform(spaces.invert_rigid(take.camera_to_world[frame]), points_world_m)
    return spaces.project_px(points_cam_m, take.K)


def _picture_px(
    bpy: ModuleType, camera: Any, points_world_m: Any, size: tuple[int, int], render: tuple[int, int]
) -> Any:
    """Pixels of the footage in which Blender's camera shows the points, the footage being fitted into the frame."""
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene = bpy.context.scene
    view = np.array([world_to_camera_view(scene, camera, Vector(p)) for p in points_world_m.tolist()])
    frame_px = np.stack([view[:, 0] * render[0], (1 - view[:, 1]) * render[1]], -1)
    scale = min(render[0] / size[0], render[1] / size[1])
    return (frame_px - np.array(render) / 2) / scale + np.array(size) / 2


@pytest.mark.parametrize("size", [(640, 360), (1080, 1920), (16, 16), (641, 359), (1, 1), (7680, 4320)])
@pytest.mark.parametrize("render", [None, (1920, 1080), (500, 700)])
@pytest.mark.parametrize("off_centre", [False, True])
def test_projection(
    blender: ModuleType, size: tuple[int, int], render: tuple[int, int] | None, off_centre: bool
) -> None:
    render = render or size
    scene = blender.context.scene
    scene.render.resolution_x, scene.render.resolution_y = (max(4, n) for n in render)
    render = scene.render.resolution_x, scene.render.resolution_y
    centre = (size[0] * 0.43, size[1] * 0.61) if off_centre else None
    take = make_take(4, width=size[0], height=size[1], focal_px=1.1 * max(size), principal_px=centre)
    result = _import(blender, take)
    points = np.random.default_rng(1).uniform((-1, -1, 0), (1, 1, 2), (40, 3))
    shown = _picture_px(blender, blender.data.objects[result.camera], points, size, render)
    # A tenth of a pixel, and where pixels are tiny what 32-bit floats give.
    np.testing.assert_allclose(shown, _wanted_px(take, 0, points), rtol=0, atol=max(0.1, 2e-5 * max(size)))


def test_non_square_render_pixels(blender: ModuleType) -> None:
    scene = blender.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 720, 576
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 64, 45
    take = make_take(2)
    camera = blender.data.objects[_import(blender, take).camera]
    points = np.random.default_rng(1).uniform((-1, -1, 0), (1, 1, 2), (10, 3))
    square = (720 * 64 / 45, 576)
    np.testing.assert_allclose(
        _picture_px(blender, camera, points, (640, 360), square), _wanted_px(take, 0, points), rtol=0, atol=0.1
    )


def test_moving_camera_is_keyed(blender: ModuleType) -> None:
    take = make_take(20, moving_camera=True, gaps=((5, 9),))
    scene = blender.context.scene
    scene.render.fps, scene.render.resolution_x, scene.render.resolution_y = 30, 640, 360
    camera = blender.data.objects[_import(blender, take).camera]
    points = np.random.default_rng(1).uniform((-1, -1, 0), (1, 1, 2), (10, 3))
    for frame in (0, 6, 19):  # gaps too: the footage goes on
        scene.frame_set(frame + 1)
        shown = _picture_px(blender, camera, points, (640, 360), (640, 360))
        np.testing.assert_allclose(shown, _wanted_px(take, frame, points), rtol=0, atol=0.1)


def test_still_camera_is_not_keyed(blender: ModuleType) -> None:
    assert blender.data.objects[_import(blender, make_take(5)).camera].animation_data is None


def _shown_behind(bpy: ModuleType, camera: Any, folder: Path, frames: list[int]) -> list[int]:
    """Numbers of the background pictures, rendered: a shader's image texture counts frames in the same way."""
    scene = bpy.context.scene
    background = camera.data.background_images[0]
    mesh = bpy.data.meshes.new("screen")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new().data.foreach_set("uv", [0, 0, 1, 0, 1, 1, 0, 1])
    screen = bpy.data.objects.new("screen", mesh)
    scene.collection.objects.link(screen)
    material = bpy.data.materials.new("screen")
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, glow = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    texture.image, texture.interpolation = background.image, "Closest"
    links.new(texture.outputs[0], glow.inputs[0])
    links.new(glow.outputs[0], output.inputs[0])
    mesh.materials.append(material)
    eye = bpy.data.objects.new("eye", bpy.data.cameras.new("eye"))
    scene.collection.objects.link(eye)
    eye.data.type, eye.data.ortho_scale, eye.location = "ORTHO", 2.0, (100, 0, 2)
    screen.location.x = 100  # away from the body
    screen.scale = (1.0, HEIGHT / WIDTH, 1.0)
    scene.camera = eye
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.use_sequencer = False
    shown = []
    for frame in frames:
        scene.frame_set(frame)
        user = background.image_user
        for name in ("frame_start", "frame_duration", "frame_offset", "use_auto_refresh", "use_cyclic"):
            setattr(texture.image_user, name, getattr(user, name))
        scene.render.filepath = str(folder / "behind.png")
        bpy.ops.render.render(write_still=True)
        shown.append(read_number(bpy, folder / "behind.png"))
    return shown


def _trim(strip: Any) -> None:
    strip.frame_offset_start, strip.frame_offset_end = 4, 3


def _reverse(strip: Any) -> None:
    strip.use_reverse_frames = True


@pytest.mark.parametrize("change", [None, _trim, _reverse])
@pytest.mark.parametrize("kind", ["movie", "movie in a 24 fps scene", "images"])
def test_footage_follows_the_strip(blender: ModuleType, tmp_path: Path, kind: str, change: Any) -> None:
    scene = blender.context.scene
    scene.render.fps = 24 if "24" in kind else 30
    if kind == "images":
        strip = add_images(scene, write_images(tmp_path, 20, first=31), 6)
    else:
        strip = add_movie(blender, write_movie(blender, tmp_path, 20, 30, 1.0), 6, True)
    if change:
        change(strip)
    clip = read_strip(scene, strip)
    take = make_take(20, fps=30, width=WIDTH, height=HEIGHT, focal_px=70)
    camera = blender.data.objects[_import(blender, take, clip).camera]
    background = camera.data.background_images[0]
    assert camera.data.show_background_images
    assert background.image.source == ("SEQUENCE" if kind == "images" else "MOVIE")
    frames = clip.timing.scene_frames[[0, 1, 3, 7, -2, -1]].tolist()
    assert _shown_behind(blender, camera, tmp_path, frames) == clip.timing.picture_at(frames).tolist()
    if kind == "movie" and change is not _reverse:
        assert camera.data.animation_data is None  # in step with the scene, nothing needs a key


def test_still_image_behind(blender: ModuleType, tmp_path: Path) -> None:
    clip = read_strip(blender.context.scene, add_images(blender.context.scene, write_images(tmp_path, 1), 3))
    camera = blender.data.objects[_import(blender, make_take(1, width=WIDTH, height=HEIGHT), clip).camera]
    assert camera.data.background_images[0].image.source == "FILE"


def test_images_without_numbering(blender: ModuleType, tmp_path: Path) -> None:
    paths = write_images(tmp_path, 3)
    renamed = [p.rename(tmp_path / n) for p, n in zip(paths, ("one.png", "two.png", "three.png"), strict=True)]
    clip = read_strip(blender.context.scene, add_images(blender.context.scene, renamed))
    result = _import(blender, make_take(3, width=WIDTH, height=HEIGHT), clip)
    assert len(result.warnings) == 1
    assert not blender.data.objects[result.camera].data.background_images


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("a1.png", "a2.png", "a4.png"), [1, 2, 4]),
        (("a09.png", "a10.png"), [9, 10]),
        (("shot2_08.exr", "shot2_09.exr"), [8, 9]),
        (("a9.png", "a10.png"), [9, 10]),
        (("a1.png", "b2.png"), None),
        (("a01.png", "a2.png"), None),
        (("a.png", "b.png"), None),
        (("only.png",), [0]),
    ],
)
def test_numbers_of_images(names: tuple[str, ...], numbers: list[int] | None) -> None:
    found = _image_numbers(names)
    assert (None if found is None else found.tolist()) == numbers


@pytest.mark.parametrize("render", [(1080, 1920), (1920, 1080)])
def test_phone_footage_is_turned_upright(blender: ModuleType, tmp_path: Path, render: tuple[int, int]) -> None:
    """Stored lying, to be turned by 90 degrees: the picture fills the frame as upright footage would."""
    scene = blender.context.scene
    scene.render.resolution_x, scene.render.resolution_y = render
    path = write_images(tmp_path, 1)[0]
    timing = StripTiming(1, 1, 1.0, 1.0, 0, 24.0)
    clip = StripClip(str(path), (path.name,), 24.0, 0, 1, WIDTH, HEIGHT, "phone", timing)
    camera = blender.data.objects.new("camera", blender.data.cameras.new("camera"))
    assert add_footage(scene, camera, clip, (HEIGHT, WIDTH), 90)
    background = camera.data.background_images[0]
    assert background.rotation == pytest.approx(np.pi / 2)
    aspect = render[0] / render[1]
    # Fitted lying: width 1 of the frame, or less in a frame wider than the picture.
    shown = np.array([1.0, HEIGHT / WIDTH]) * min(1.0, WIDTH / HEIGHT / aspect) * background.scale
    upright = shown[::-1]
    assert upright[0] / upright[1] == pytest.approx(HEIGHT / WIDTH)
    assert upright[0] == pytest.approx(min(1.0, HEIGHT / WIDTH / aspect))
    # Blenders that turn the picture themselves: nothing to do.
    other = blender.data.objects.new("camera", blender.data.cameras.new("camera"))
    assert add_footage(scene, other, clip, (WIDTH, HEIGHT), 90)
    assert other.data.background_images[0].rotation == 0.0
