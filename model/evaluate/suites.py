"""Test suites: clips with truth.  A suite is one entry of ``SUITES``; a data set joins by adding one.

Files of a suite come from outside and are read as such: no pickles, bounded sizes, shapes checked.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from amr_blender.contract.errors import AmrError, SettingsError
from amr_blender.contract.rotations import matrix_from_quaternion
from amr_blender.contract.spaces import invert_rigid, project_px
from amr_blender.contract.take import JOINT12_NAMES
from model.video import Video

from .bodies import anny_motion, anny_quads
from .conditions import Given
from .motion import Array, Mask, Motion

ROOT = Path(__file__).resolve().parents[2]
QUICK_CLIPS = 12
MAX_TRUTH_BYTES, MAX_CONDITIONS_BYTES = 2 << 30, 1 << 20
_SAME_SKIN_M = 1e-3
_LOW_M, _STILL_M_S = 0.12, 0.15


@dataclass(frozen=True)
class Clip:
    """One clip to be judged on."""

    suite: str
    dataset: str
    name: str
    video: Path
    files: tuple[Path, ...]
    """All that the truth is read from."""
    load: Callable[[], tuple[Motion, Given]]
    """Truth and the clip's own conditions.  Raises AmrError where the files are damaged."""


@dataclass(frozen=True)
class Suite:
    """``clips`` lists those in a folder, raising AmrError where there are none."""

    name: str
    about: str
    folder: Path
    clips: Callable[[str, Path], list[Clip]]


def find_clips(wanted: str, quick: bool) -> list[Clip]:
    """The clips of ``NAME`` or ``NAME=FOLDER``; if ``quick`` at most ``QUICK_CLIPS``, evenly over their order.

    Raises:
        SettingsError: there is no such suite. AmrError: its clips are not there.
    """
    name, _, folder = wanted.partition("=")
    if name not in SUITES:
        raise SettingsError("suite-unknown", f"There is no suite '{name}'.", f"Choose from {', '.join(SUITES)}.")
    suite = SUITES[name]
    clips = suite.clips(name, Path(folder) if folder else suite.folder)
    if quick and len(clips) > QUICK_CLIPS:
        clips = [clips[i] for i in np.linspace(0, len(clips) - 1, QUICK_CLIPS).astype(int)]
    return clips


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz``.

    Raises:
        AmrError: missing, damaged, too large, or with pickles.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_TRUTH_BYTES:
                raise ValueError("it is larger than a truth can be")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> AmrError:
    return AmrError("truth-damaged", f"The truth in {path} can't be read ({why}).", "Make or copy the clip again.")


def _balance(suite: str, folder: Path) -> list[Clip]:
    path = folder / "balance_truth.npz"
    if not path.is_file():
        raise AmrError(
            "suite-missing",
            f"The balance clips are not in {folder}.",
            f"Put balance_truth.npz and its clips there, or name their folder: {suite}=FOLDER.",
        )

    def clip(camera: str) -> Clip:
        video = folder / f"balance_{camera}.mp4"
        return Clip(suite, "balance", camera, video, (path,), lambda: balance_truth(path, camera, video))

    return [clip(str(camera)) for camera in read_arrays(path)["camera_names"]]


def balance_truth(path: Path, camera: str, video: Path) -> tuple[Motion, Given]:
    """The joints triangulated from four cameras, as one camera sees them; frames count where all twelve are valid."""
    z = read_arrays(path)
    try:
        names, c = z["joint_names"].tolist(), z["camera_names"].tolist().index(camera)
        world, fps = z["joints_world_m"].astype(np.float64), float(z["fps"])
        turn, shift, K = z["R"][c], z["t"][c], z["K"][c]
        chosen = [names.index(name) for name in JOINT12_NAMES]
        joints = world[:, chosen] @ turn.T + shift
        joints[~z["valid"][:, chosen].all(1)] = np.nan
        to_world = np.eye(4)
        to_world[:3, :3], to_world[:3, 3] = turn.T, -turn.T @ shift
        standing = np.zeros((len(world), 2), bool)
        for foot, side in enumerate("lr"):
            feet = world[:, [names.index(f"{side}_heel"), names.index(f"{side}_foot_index")], 2]
            step = np.gradient(world[:, names.index(f"{side}_ankle")], axis=0)
            standing[:, foot] = (feet < _LOW_M).all(1) & (np.linalg.norm(step, axis=1) * fps < _STILL_M_S)
        truth = Motion(
            fps=fps,
            joints12_cam_m=joints,
            K=K,
            distortion=z["dist"][c],
            camera_to_world=np.repeat(to_world[None], len(world), 0),
            standing=standing,
        )
        px = project_px(world @ turn.T + shift, K)
    except (KeyError, ValueError, IndexError) as error:
        raise _damaged(path, str(error)) from error
    rows = px[truth.seen][..., 1]
    height = float(np.median(np.nanmax(rows, 1) - np.nanmin(rows, 1)))
    return truth, {"action": "balance", "person_height_px": height, "light": _brightness(video, px)}


def _brightness(video: Path, px: Array) -> float:
    """Mean of the pixels inside the hull of the joints (T, J, 2), 0..1, over every tenth frame; NaN if it has none."""
    values = []
    for frame in Video(video).frames(0, len(px)):
        points = px[frame.index][np.isfinite(px[frame.index]).all(1)]
        if frame.index % 10 == 0 and len(points) >= 3:
            mask = np.zeros(frame.rgb.shape[:2], np.uint8)
            cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), (1,))
            values.append(frame.rgb[mask > 0].mean() / 255.0)
    return float(np.mean(values)) if values else float("nan")


def _made(suite: str, folder: Path) -> list[Clip]:
    folders = sorted(path.parent for path in folder.glob("*/truth.npz"))
    if not folders:
        raise AmrError(
            "suite-missing",
            f"There are no made clips in {folder}.",
            f"Make them first, or name their folder: {suite}=FOLDER.",
        )
    return [
        Clip(
            suite,
            suite,
            one.name,
            one / "clip.mp4",
            tuple(one / name for name in ("truth.npz", "conditions.json") if (one / name).is_file()),
            lambda one=one: (made_truth(one / "truth.npz"), _given(one / "conditions.json")),  # type: ignore[misc]
        )
        for one in folders
    ]


def _demo(suite: str, folder: Path) -> list[Clip]:
    path = folder / "demo_clip_truth.npz"
    if not path.is_file():
        raise AmrError("suite-missing", f"The project's clip is not in {folder}.", "Use a whole checkout.")
    given = {"action": "wave and squat"}
    return [Clip(suite, suite, "demo_clip", folder / "demo_clip.mp4", (path,), lambda: (made_truth(path), given))]


def _given(path: Path) -> Given:
    """A clip's own conditions: numbers and words of a flat JSON object."""
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_CONDITIONS_BYTES:
            raise ValueError("it is too long")
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): value for name, value in found.items() if isinstance(value, int | float | str)}
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def made_truth(path: Path) -> Motion:
    """The truth of a made clip.

    The whole skin follows from shape and rotations where both are there; if some of its vertices are in the file as
    well, they must agree, else these alone count.
    """
    z = read_arrays(path)
    try:
        joints = z["joints12_cam_m"].astype(np.float64)
        frames = len(joints)
        if joints.shape != (frames, 12, 3):
            raise ValueError("joints12_cam_m has the wrong shape")
        cameras = np.broadcast_to(z["camera_to_world"].astype(np.float64), (frames, 4, 4))
        vertices, index, quads, orientations = _made_skin(z, cameras)
        contacts, flat = _flags(z, "contacts", (frames, 4)), _flags(z, "feet_flat", (frames, 2))
        return Motion(
            fps=float(z["fps"]),
            joints12_cam_m=joints,
            K=z["K"].astype(np.float64),
            camera_to_world=cameras,
            vertices_cam_m=vertices,
            vertex_index=index,
            quads=quads,
            orientations_cam=orientations,
            contacts=None if contacts is None else contacts.astype(float),
            standing=flat if contacts is None else contacts[:, :2] & contacts[:, 2:],
            visible12=_flags(z, "visible12", (frames, 12)),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise _damaged(path, str(error)) from error


def _flags(z: dict[str, np.ndarray], name: str, shape: tuple[int, int]) -> Mask | None:
    if name not in z:
        return None
    if z[name].shape != shape:
        raise ValueError(f"{name} has the wrong shape")
    return z[name].astype(bool)


def _made_skin(
    z: dict[str, np.ndarray], cameras: Array
) -> tuple[Array | None, np.ndarray | None, np.ndarray | None, Array | None]:
    """Vertices, their numbers, faces, orientations; None for what the file does not tell."""
    stored = z["vertices_cam_m"].astype(np.float32) if "vertices_cam_m" in z else None
    index = z["vertex_index"].astype(np.int64) if "vertex_index" in z else None
    if not {"shape_values", "rotations", "root_m"} <= set(z):
        return stored, index, None, None
    local = matrix_from_quaternion(z["rotations"].astype(np.float64))
    vertices, orientations = anny_motion(z["shape_values"], local, z["root_m"], invert_rigid(cameras))
    if stored is not None:
        same = vertices if index is None else vertices[:, index]
        if same.shape != stored.shape or np.abs(same - stored).max() > _SAME_SKIN_M:
            return stored, index, None, orientations
    return vertices, None, anny_quads(), orientations


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "balance", "real footage, joints from four calibrated cameras", ROOT.parent / "shared" / "clips", _balance
        ),
        Suite("synthetic", "made clips with exact truth", ROOT / "build" / "synthetic", _made),
        Suite("turned", "the same footage, filmed by a camera that turns", ROOT / "build" / "turned", _made),
        Suite("demo", "the project's own made clip", ROOT / "tests" / "data", _demo),
    )
}
