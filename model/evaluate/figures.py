"""Pictures for the report: the frame, the body over it, attention, the refined body, and where the error is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.spaces import project_px
from model.synth.render.painter import Paint, paint
from model.video import Video

from .metrics import BONES, project
from .motion import Array, Mask, Motion
from .suites import Clip
from .surface import vertex_errors_mm

Picture = NDArray[np.uint8]
HEAT_MM = 150.0
_SIZE = (240, 320)
"""Width and height of a panel."""
_BINS = 24
_CLAY = np.array([0.62, 0.72, 0.86])
_MARGIN = 0.18


@dataclass(frozen=True)
class Strip:
    """The panels of one frame, with their captions, in order."""

    clip: Clip
    frame: int
    method: str
    why: str
    """Why this frame is shown."""
    error_mm: float
    panels: tuple[tuple[str, Picture], ...]


@dataclass(frozen=True)
class _View:
    """A frame cut to the person: the picture, and the shift and scale from the clip's pixels to its own."""

    picture: Picture
    shift_px: Array
    scale: float

    def pixels(self, px: Array) -> Array:
        return np.asarray((px - self.shift_px) * self.scale)

    def camera(self, K: Array) -> Array:
        """The pinhole matrix of the cut."""
        cut = np.array([[1, 0, -self.shift_px[0]], [0, 1, -self.shift_px[1]], [0, 0, 1]])
        return np.diag([self.scale, self.scale, 1.0]) @ cut @ K


def heat_colours(values: Array) -> NDArray[np.uint8]:
    """(N, 3) RGB of (N,) values in 0..1."""
    grey = (255 * np.clip(np.nan_to_num(values), 0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1])


def telling_frames(error_mm: Array) -> list[tuple[int, str]]:
    """The frame with the middle error and the one with the largest, of (T,) errors with NaN."""
    known = np.flatnonzero(np.isfinite(error_mm))
    if not len(known):
        return []
    order = known[np.argsort(error_mm[known], kind="stable")]
    return [(int(order[len(order) // 2]), "a typical frame"), (int(order[-1]), "the worst frame")]


def strips(
    clip: Clip, truth: Motion, estimate: Motion, method: str, error_mm: Array, picked: Sequence[tuple[int, str]]
) -> list[Strip]:
    """The pictures of some frames of a clip.

    Args:
        error_mm: (T,) mean joint error by frame.
        picked: frames and why they are shown.

    Raises:
        VideoError: the footage can't be read.
    """
    wanted = dict(picked)
    found: list[Strip] = []
    for frame in Video(clip.video).frames(0, max(wanted, default=-1) + 1):
        if frame.index in wanted:
            view = _cut(frame.rgb, truth, estimate, frame.index)
            panels = tuple(_panels(view, truth, estimate, frame.index))
            why, error = wanted[frame.index], float(error_mm[frame.index])
            found.append(Strip(clip, frame.index, method, why, error, panels))
    order = [index for index, _ in picked]
    return sorted(found, key=lambda strip: order.index(strip.frame))


def _panels(view: _View, truth: Motion, estimate: Motion, t: int) -> list[tuple[str, Picture]]:
    panels = [("frame", view.picture)]
    K, refined = estimate.K, estimate.initial_vertices_cam_m is not None
    first = estimate.initial_vertices_cam_m if refined else estimate.vertices_cam_m
    if first is not None and estimate.quads is not None and K is not None:
        panels.append(("initial mesh", _over(view, first[t], estimate.quads, K)))
        if estimate.attention is not None:
            panels.append(("attention", _over(view, first[t], estimate.quads, K, estimate.attention[t])))
        if estimate.uncertainty_mm is not None:
            told = estimate.uncertainty_mm[t] / HEAT_MM
            panels.append(("expected error", _over(view, first[t], estimate.quads, K, told, 1.0)))
        if refined and estimate.vertices_cam_m is not None:
            panels.append(("refined mesh", _over(view, estimate.vertices_cam_m[t], estimate.quads, K)))
    panels.append(_error_panel(view, truth, estimate, t))
    panels.append(("from the side (white: truth)", _side_panel(truth, estimate, t)))
    return panels


def _error_panel(view: _View, truth: Motion, estimate: Motion, t: int) -> tuple[str, Picture]:
    """Errors on the skin where the truth has one, else at the joints, with the true skeleton in white."""
    errors = vertex_errors_mm(_one(truth, t), _one(estimate, t)) if truth.vertex_index is None else None
    skin, quads, K = estimate.vertices_cam_m, estimate.quads, estimate.K
    if errors is not None and skin is not None and quads is not None and K is not None:
        return "error of the skin", _over(view, skin[t], quads, K, errors[0] / HEAT_MM, 1.0)
    picture = (view.picture // 2 + 20).astype(np.uint8)
    true_px, px = project(_one(truth, t)), project(_one(estimate, t))
    if true_px is not None:
        _skeleton(picture, view.pixels(true_px[0]), np.full((12, 3), 255, np.uint8), 1)
    if px is not None:
        joint_errors = np.linalg.norm(estimate.rooted_joints_m[t] - truth.rooted_joints_m[t], axis=-1)
        _skeleton(picture, view.pixels(px[0]), heat_colours(1000 * joint_errors / HEAT_MM), 2)
    return "error of the joints (white: truth)", picture


def _side_panel(truth: Motion, estimate: Motion, t: int) -> Picture:
    """Both skeletons as somebody sees them who stands to the camera's right: away from the camera is to the right."""
    picture = np.full((_SIZE[1], _SIZE[0], 3), 64, np.uint8)
    true, claimed = (motion.rooted_joints_m[t][:, [2, 1]] for motion in (truth, estimate))
    scale = 0.42 * min(_SIZE) / max(float(np.nanmax(np.abs(np.concatenate([true, claimed])))), 0.1)
    errors = np.linalg.norm(estimate.rooted_joints_m[t] - truth.rooted_joints_m[t], axis=-1)
    middle = np.array(_SIZE) / 2
    _skeleton(picture, true * scale + middle, np.full((12, 3), 255, np.uint8), 1)
    _skeleton(picture, claimed * scale + middle, heat_colours(1000 * errors / HEAT_MM), 2)
    return picture


def _one(motion: Motion, t: int) -> Motion:
    """One frame, of what the pictures need."""
    skin = motion.vertices_cam_m
    return Motion(
        fps=motion.fps,
        joints12_cam_m=motion.joints12_cam_m[t : t + 1],
        K=motion.K,
        distortion=motion.distortion,
        vertices_cam_m=None if skin is None else skin[t : t + 1],
        vertex_index=motion.vertex_index,
    )


def _cut(rgb: Picture, truth: Motion, estimate: Motion, t: int) -> _View:
    """The part of the frame that holds truth and estimate, in the panels' proportions, on grey beyond the edges."""
    pixels = []
    for motion in (_one(truth, t), _one(estimate, t)):
        joints = project(motion)
        if joints is not None:
            pixels.append(joints[0])
        if motion.vertices_cam_m is not None and motion.K is not None:
            pixels.append(project_px(motion.vertices_cam_m[0, ::20].astype(np.float64), motion.K))
    points = np.concatenate(pixels) if pixels else np.array([[0.0, 0.0], [rgb.shape[1], rgb.shape[0]]])
    points = points[np.isfinite(points).all(1)].clip(-rgb.shape[1], 2 * rgb.shape[1])
    low, high = points.min(0), points.max(0)
    size = np.maximum((high - low).max(), 20.0) * (1 + 2 * _MARGIN)
    span = np.array([max(size * _SIZE[0] / _SIZE[1], (high - low)[0] * (1 + _MARGIN)), 0.0])
    span[1] = span[0] * _SIZE[1] / _SIZE[0]
    shift, scale = (low + high) / 2 - span / 2, _SIZE[0] / span[0]
    matrix = np.array([[scale, 0, -scale * shift[0]], [0, scale, -scale * shift[1]]])
    # Area averaging before the turn to few pixels, or thin limbs break up.
    blurred = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale) if scale < 0.8 else rgb
    picture = cv2.warpAffine(blurred, matrix, _SIZE, flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128))
    return _View(np.asarray(picture, np.uint8), shift, float(scale))


def _over(
    view: _View,
    vertices_cam_m: Array,
    quads: NDArray[np.integer],
    K: Array,
    values: Array | None = None,
    solid: float = 0.8,
) -> Picture:
    """The body over the frame, in clay or, with (V,) ``values`` in 0..1, in the colours of heat."""
    faces = np.asarray(quads, np.int64)
    vertices = vertices_cam_m.astype(np.float64)
    if not np.isfinite(vertices).all():
        return view.picture
    parts: list[tuple[Mask | slice, Array]] = [(slice(None), _CLAY)]
    if values is not None:
        bins = np.minimum((np.clip(values[faces].mean(1), 0, 1) * _BINS).astype(int), _BINS - 1)
        colours = heat_colours((np.arange(_BINS) + 0.5) / _BINS) / 255.0
        parts = [(bins == one, colours[one]) for one in np.unique(bins)]
    paints = [Paint(vertices, faces[chosen], colour) for chosen, colour in parts]
    painted = paint(paints, view.camera(K), view.picture, np.array([-0.4, -0.6, -0.7]), ambient=0.55)
    return np.asarray(cv2.addWeighted(painted, solid, view.picture, 1 - solid, 0), np.uint8)


def _skeleton(picture: Picture, px: Array, colours: NDArray[np.uint8], width: int) -> None:
    for a, b in BONES:
        if np.isfinite(px[[a, b]]).all():
            shade = ((colours[a].astype(int) + colours[b]) // 2).tolist()
            cv2.line(picture, _point(px[a]), _point(px[b]), shade, width, cv2.LINE_AA)
    for at, colour in zip(px, colours.tolist(), strict=True):
        if np.isfinite(at).all():
            cv2.circle(picture, _point(at), width + 2, colour, -1, cv2.LINE_AA)


def _point(px: Array) -> tuple[int, int]:
    x, y = np.clip(np.round(px), -10000, 10000).astype(int).tolist()
    return x, y


def png(picture: Picture) -> bytes:
    """The picture as PNG."""
    ok, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    assert ok
    return bytes(data.tobytes())
