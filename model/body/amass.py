"""A take made with a body of the SMPL family as an AMASS file (Mahmood et al., ICCV 2019; amass.is.tue.mpg.de).

AMASS has Z up and the models' own rest pose, which stands along Y: the root's rotation holds the difference.  The root
joint stays where the model has it at rest, and ``trans`` moves it from there.  Frames are evenly spaced in time, from
the first to the last that has a pose; where the take is empty in between, the motion goes straight on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import TakeError
from amr_blender.contract.files import written_whole
from amr_blender.contract.rotations import (
    quaternion_from_matrix,
    rotvec_from_quaternion,
    slerp,
)
from amr_blender.contract.take import Take, unwritable

from .rig import local_rotations
from .smpl_file import FAMILIES, Z_UP, Family

Array = NDArray[Any]


def write_amass(take: Take, path: Path) -> None:
    """Write ``take`` as an AMASS ``.npz``.

    Raises:
        TakeError: the take was made with another body, or ``path`` can't be written.
    """
    arrays = amass_arrays(take)
    try:
        with written_whole(path) as stream:
            np.savez_compressed(stream, **arrays)
    except OSError as error:
        raise unwritable(path, error) from error


def amass_arrays(take: Take) -> dict[str, Array]:
    """The fields of an AMASS file for N evenly spaced frames.

    ``poses`` (N, 3 J) are rotation vectors in the model's joint order: 156 numbers for SMPL-H, 165 for SMPL-X, 72 for
    SMPL; ``root_orient``, ``pose_body`` and the like are parts of them.  ``trans`` (N, 3) metres; ``betas`` (P,).
    ``present`` (N,) is not AMASS's own: False where nobody was seen, so that the pose is made up.

    Raises:
        TakeError: the take was made with another body, or no frame of it has a pose.
    """
    family, root_at_rest_m = _family(take)
    if not take.posed.any():
        raise TakeError("take-empty", "The take has a pose on no frame.", "Reconstruct another part of the clip.")
    rate, left, right, fraction, nearest = _even_times(take)
    every_bone = np.broadcast_to(fraction[:, None], (len(fraction), len(take.bone_names)))
    rotations = slerp(take.rotations[left].astype(float), take.rotations[right].astype(float), every_bone)
    path = take.translation_m.astype(np.float64)
    root = (1 - fraction[:, None]) * path[left] + fraction[:, None] * path[right]
    turned = Z_UP.T @ local_rotations(rotations, take.bone_rest)[:, 1:] @ Z_UP
    turned[:, 0] = Z_UP @ turned[:, 0]  # the world keeps Z up, the model does not
    poses = rotvec_from_quaternion(quaternion_from_matrix(turned)).reshape(len(turned), -1)
    arrays = {
        "trans": root - root_at_rest_m @ Z_UP,
        "poses": poses,
        "betas": take.shape_values.astype(np.float64),
        "num_betas": np.array(len(take.shape_values)),
        "gender": np.array(take.meta["body"]["gender"]),
        "surface_model_type": np.array(family.amass),
        "mocap_frame_rate": np.array(rate),
        "mocap_framerate": np.array(rate),  # as older files of AMASS spell it
        "mocap_time_length": np.array(len(poses) / rate),
        "present": take.present[nearest],
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
    }
    if family.amass == "smplx":
        arrays |= {"pose_jaw": poses[:, 66:69], "pose_eye": poses[:, 69:75], "pose_hand": poses[:, 75:]}
    elif family.amass == "smplh":
        arrays["pose_hand"] = poses[:, 66:]
    return arrays


def _family(take: Take) -> tuple[Family, Array]:
    """The body of the take, and where its root joint is at rest, (3,) in the take's axes."""
    body = take.meta.get("body")
    told = body if isinstance(body, dict) else {}
    for family in FAMILIES:
        if told.get("surface_model_type") == family.amass and len(take.bone_names) == len(family.joints) + 1:
            root = np.array(told.get("root_at_rest_m"), dtype=object)
            known = root.shape == (3,) and all(isinstance(x, float) and np.isfinite(x) for x in root)
            if known and isinstance(told.get("gender"), str):
                return family, root.astype(float)
    raise TakeError(
        "take-other-body",
        f"The take was made with the body {told.get('name', 'of an unknown name')}; AMASS is for SMPL, SMPL-H and "
        "SMPL-X.",
        "Reconstruct the clip again with a file of one of them as the body, and export that take.",
    )


def _even_times(take: Take) -> tuple[float, Array, Array, Array, Array]:
    """Frame rate, and for N evenly spaced moments the posed frames before and after, how far (0..1) each lies between
    them, and the nearest frame of all."""
    posed, steps = np.flatnonzero(take.posed), np.diff(take.time_s)
    time_s = take.time_s[posed]
    rate = 1.0 / max(float(np.median(steps)), 1e-3) if len(steps) else float(take.meta["source"]["fps"])
    moments = time_s[0] + np.arange(round((time_s[-1] - time_s[0]) * rate) + 1) / rate
    place = np.interp(moments, time_s, np.arange(len(time_s)))
    # A moment within a thousandth of a frame of a frame is that frame: 1001/30000 has no exact float.
    place = np.where(np.abs(place - np.round(place)) < 1e-3, np.round(place), place)
    left = np.floor(place).astype(int)
    right = np.minimum(left + 1, len(time_s) - 1)
    nearest = np.round(np.interp(moments, take.time_s, np.arange(len(take.time_s)))).astype(int)
    return rate, posed[left], posed[right], place - left, nearest
