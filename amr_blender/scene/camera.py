"""The camera of the footage, with the footage behind it.

The animator's render size stays as it is.  Background pictures are fitted into the camera's frame, so the sensor is
fitted along the side that the picture fills: then body and picture coincide for every render size that is set when the
result comes in, and for every later one of the footage's own aspect.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..contract import rotations as rot
from ..contract import spaces
from ..contract.take import Take
from .action import CONSTANT, ActionWriter
from .sampling import Motion
from .strip import StripClip

Array = NDArray[Any]

FOOTAGE_ALPHA = 0.7
_SENSOR_MM = 36.0
_STILL = 1e-6


def footage_size(take: Take) -> tuple[int, int]:
    """Width and height in pixels of the upright frame."""
    source = take.meta.get("source", {})
    width, height = int(source.get("width", 0)), int(source.get("height", 0))
    return width or round(2 * take.K[0, 2]), height or round(2 * take.K[1, 2])


def frame_aspect(scene: Any) -> float:
    """Width over height of the rendered picture."""
    render = scene.render
    return float(render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y))


def make_camera(scene: Any, take: Take, motion: Motion, name: str, collection: Any) -> Any:
    """A camera object that sees the take as the footage does, keyed only if it moves."""
    width, height = footage_size(take)
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    collection.objects.link(camera)
    horizontal = width / height >= frame_aspect(scene)
    data.sensor_fit = "HORIZONTAL" if horizontal else "VERTICAL"
    data.sensor_width = data.sensor_height = _SENSOR_MM
    data.lens, data.shift_x, data.shift_y = spaces.blender_lens(take.K, width, height, horizontal, _SENSOR_MM)
    matrices = spaces.blender_camera_matrix(motion.camera_to_world)
    data.clip_start = 0.01
    data.clip_end = 100.0 + 2.0 * float(np.abs(matrices[:, :3, 3]).max())
    camera.rotation_mode = "QUATERNION"
    location, quaternions = matrices[:, :3, 3], rot.continuous(rot.quaternion_from_matrix(matrices[:, :3, :3]))
    camera.location = location[0].tolist()
    camera.rotation_quaternion = quaternions[0].tolist()
    if max(np.ptp(location, axis=0).max(), np.ptp(quaternions, axis=0).max()) > _STILL:
        writer = ActionWriter(camera, name)
        writer.curves("location", motion.camera_frames, location, "Camera")
        writer.curves("rotation_quaternion", motion.camera_frames, quaternions, "Camera")
    return camera


def add_footage(scene: Any, camera: Any, footage: StripClip, size: tuple[int, int], rotation_deg: int) -> bool:
    """Put the strip's pictures behind the body, each on the scene frame where the sequencer shows it.

    Args:
        size: width and height of the upright frame.
        rotation_deg: clockwise turn from the stored to the upright frame.

    Returns:
        False if Blender has no way to show these files as one sequence (images without a common numbering).
    """
    numbers = _image_numbers(footage.images)
    if footage.images and numbers is None:
        return False
    image = bpy.data.images.load(footage.path)
    if len(footage.images) > 1:
        image.source = "SEQUENCE"
    background = camera.data.background_images.new()
    background.source = "IMAGE"
    background.image = image
    background.frame_method = "FIT"
    background.alpha = FOOTAGE_ALPHA
    background.display_depth = "BACK"
    camera.data.show_background_images = True
    _turn_upright(background, image.size, size, rotation_deg, frame_aspect(scene))
    if image.source in {"MOVIE", "SEQUENCE"}:
        _time(camera, footage, numbers)
    return True


def _image_numbers(images: tuple[str, ...]) -> Array | None:
    """The number in each image's file name as Blender counts a sequence; None if they are not one numbered sequence."""
    if len(images) == 1:
        return np.zeros(1, int)
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", os.path.basename(name)) for name in images]
    frame = {(p[1], p[3], len(p[2]) if p[2].startswith("0") else 0) for p in parts if p}
    widths = {len(p[2]) for p in parts if p}
    same = len({(a, c) for a, c, _ in frame}) == 1 and (len(widths) == 1 or all(w == 0 for _, _, w in frame))
    if not images or not all(parts) or not same:
        return None
    return np.array([int(p[2]) for p in parts if p])


def _turn_upright(background: Any, stored: Any, upright: tuple[int, int], rotation_deg: int, aspect: float) -> None:
    """Turn what Blender shows as it is stored.  Blenders that heed a phone's rotation themselves are left alone."""
    width, height = upright
    if rotation_deg % 180 == 0 or min(stored) <= 0 or (stored[0] >= stored[1]) == (width >= height):
        return
    background.rotation = math.radians(rotation_deg)
    # FIT has sized the picture before it turns; what is its height now must become the width that FIT would give it.
    shown = min(1.0, stored[0] / stored[1] / aspect) * stored[1] / stored[0]
    background.scale = min(1.0, width / height / aspect) / shown


def _time(camera: Any, footage: StripClip, numbers: Array | None) -> None:
    """Let the background follow the strip.  Blender shows number ``scene frame - frame_start + 1 + frame_offset``."""
    timing = footage.timing
    frames = timing.scene_frames
    pictures = timing.picture_at(frames)
    # A movie's first picture has number 1, an image has the number in its name.
    wanted = pictures + 1 if numbers is None else numbers[np.minimum(pictures, len(numbers) - 1)]
    offsets = wanted - (frames - frames[0] + 1)
    user = camera.data.background_images[0].image_user
    user.frame_start = int(frames[0])
    user.frame_duration = len(frames)
    user.frame_offset = int(offsets[0])
    user.use_auto_refresh = True
    changes = np.flatnonzero(np.concatenate([[True], np.diff(offsets) != 0]))
    if len(changes) > 1:
        writer = ActionWriter(camera.data, f"{camera.name} Footage")
        path = "background_images[0].image_user.frame_offset"
        writer.curve(path, 0, frames[changes], offsets[changes], "Footage", CONSTANT)
