"""Moves a take from Anny onto a body of the SMPL family: the person's shape, every pose, the mesh and the rig.

The fit always runs on Anny, where BlazePose's landmarks are known; see ``model.body.pose_transfer`` for the poses.
The shape comes from limbs and stature by least squares, with SMPL's own prior (betas are standard normal).  Anny's and
SMPL's skeletons call different points joints, so a limb that is 3 % longer, for the stature, than the average Anny's
becomes 3 % longer than the average SMPL's; the stature is taken as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amr_blender.contract.take import Take

from .anny import AnnyBody
from .correctives import fewest_shapes
from .correspondence import place_of
from .interface import Array, RestBody
from .pose_transfer import PoseTransfer, TakeMotion
from .rig import build_rig, rig_arrays
from .smpl_family import SmplBody, pose_features

LENGTH_SIGMA, STATURE_SIGMA_M, MAX_BETA = 0.01, 0.002, 5.0
CORRECTIVE_ERROR_MM = 0.3
_LIMBS = (("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("shoulder", "elbow"), ("elbow", "wrist"))
_LENGTHS = (
    *((f"{a}.{side}", f"{b}.{side}") for side in "LR" for a, b in _LIMBS),
    ("hip.L", "hip.R"), ("shoulder.L", "shoulder.R"), ("hip.L", "neck"), ("hip.R", "neck"), ("neck", "head"),
)  # fmt: skip
_TRUNK = ("hip.L", "hip.R", "shoulder.L", "shoulder.R", "neck", "head")
_ROUNDS = 8
_BLOCK = 256
"""Frames at a time; bounds the memory."""
_SOLE_FRAMES = 64
"""So many of the frames in which a foot rests tell how high the soles are."""
_OTHER_STATURE_M, _FAR_OFF_M = 0.03, 0.03


def transfer(take: Take, anny: AnnyBody, body: SmplBody) -> Take:
    """The same motion by another body.

    Args:
        take: made with Anny. anny: that body. body: the user's.

    Returns:
        A take whose mesh, rig, shape, rotations and root are the other body's, with its pose correctives as the
        refinement.  Camera, landmarks and contacts stay; what lay on Anny's vertices goes to the nearest ones.
    """
    motion = TakeMotion(take)
    shape = fit_shape(take, anny, body)
    rest = body.rest(shape)
    poses, laid_over = _lay_over(take, body, rest, motion)
    blocks = [slice(i, i + _BLOCK) for i in range(0, take.frame_count, _BLOCK)]
    local, root, off = (
        np.concatenate(part) for part in zip(*(poses.run(*motion.pose(b)) for b in blocks), strict=True)
    )
    root[:, 2] += _rise(take, anny, motion, body, rest, local, root)
    rig = build_rig(body, rest)
    few = fewest_shapes(pose_features(torch.from_numpy(local)), body.correctives, CORRECTIVE_ERROR_MM)
    basis, weights, error_mm = few if few else (None, None, None)
    return replace(
        take,
        meta=take.meta
        | {
            "body": {
                "name": body.family.name,
                "licence": body.family.licence,
                "surface_model_type": body.family.amass,
                "gender": body.gender,
                "root_at_rest_m": rest.heads_m[0].tolist(),
                "joint_error_mm": round(1000 * float(np.median(off[take.present])), 2),
            },
            "warnings": [*take.meta["warnings"], *_warnings(take, body, rest, off)],
        },
        **rig_arrays(body, rig),
        shape_names=np.array(body.shape_names),
        shape_values=shape.numpy().astype(np.float32),
        rotations=rig.rotations(local).astype(np.float32),
        translation_m=root.astype(np.float32),
        refinement_basis=basis,
        refinement_weights=weights,
        refinement_error_mm=error_mm,
        **_on_nearest_vertices(take, laid_over),
    )


def fit_shape(take: Take, anny: AnnyBody, body: SmplBody) -> Tensor:
    """(P,) float64 betas of the take's person."""
    average = anny.rest(anny.default_shape())
    heads = average.heads_m.double().cpu().numpy()
    names = ["hips", *anny.bone_names[1:]]
    stature = float(np.ptp(take.vertices_m[:, 2]))
    longer = _anny_lengths(TakeMotion(take).rest_heads) / stature
    longer = longer / (_anny_lengths(dict(zip(names, heads, strict=True))) / float(average.height_m))
    joints, per_beta = body.joints()
    height, height_per_beta = body.stature()
    ends = np.array([[body.bone_names.index(joint) for joint in pair] for pair in _LENGTHS])
    wanted = longer * np.linalg.norm(joints[ends[:, 1]] - joints[ends[:, 0]], axis=-1) * stature / height
    betas = np.zeros(len(height_per_beta))
    for _ in range(_ROUNDS):
        along = (joints + per_beta @ betas)[ends[:, 1]] - (joints + per_beta @ betas)[ends[:, 0]]
        length = np.linalg.norm(along, axis=-1)
        slope = np.einsum("ni,nip->np", along / length[:, None], per_beta[ends[:, 1]] - per_beta[ends[:, 0]])
        sigma = LENGTH_SIGMA * wanted
        rows = [slope / sigma[:, None], height_per_beta[None] / STATURE_SIGMA_M, np.eye(len(betas))]
        missing = [(wanted - length) / sigma, [(stature - height - height_per_beta @ betas) / STATURE_SIGMA_M], -betas]
        betas = betas + np.linalg.lstsq(np.concatenate(rows), np.concatenate(missing), rcond=None)[0]
        betas = betas.clip(-MAX_BETA, MAX_BETA)
    return torch.from_numpy(betas)


def _anny_lengths(heads: dict[str, Array]) -> Array:
    """(N,) of ``_LENGTHS`` on an Anny."""
    ends = [[place_of(joint, heads) for joint in pair] for pair in _LENGTHS]
    lengths: Array = np.linalg.norm(np.diff(np.array(ends, float), axis=1)[:, 0], axis=-1)
    return lengths


def _lay_over(take: Take, body: SmplBody, rest: RestBody, motion: TakeMotion) -> tuple[PoseTransfer, Array]:
    """The SMPL person laid over Anny at rest, trunk over trunk and soles on the same ground; and its (V, 3) then."""
    anny = motion.rest_heads
    at = dict(zip(body.bone_names, rest.heads_m.numpy(), strict=True))
    shift = np.mean([place_of(joint, anny) - at[joint] for joint in _TRUNK], axis=0)
    for _ in range(3):  # how the legs stand depends on how high the hips are
        poses = PoseTransfer(body.family, rest, motion, shift)
        local = torch.from_numpy(poses.local(poses.rest_turns[None]))
        vertices = body.pose(rest, local, torch.from_numpy(poses.rest_root)[None])[0].numpy()
        shift = shift + (0, 0, take.vertices_m[:, 2].min() - vertices[:, 2].min())
    return poses, vertices


def _rise(
    take: Take, anny: AnnyBody, motion: TakeMotion, body: SmplBody, rest: RestBody, local: Array, root: Array
) -> float:
    """How much higher (m) the SMPL person must stand so that its soles are where Anny's are when a foot rests."""
    resting = np.flatnonzero((take.contacts.max(1) > 0.5) & take.present)
    if not len(resting):
        resting = np.flatnonzero(take.present)
    frames = resting[np.linspace(0, len(resting) - 1, min(_SOLE_FRAMES, len(resting))).astype(int)]
    person = RestBody(*(torch.from_numpy(a) for a in (take.vertices_m, take.bone_rest[1:, :3, 3], take.vertices_m[:0])))
    rise = []
    for frame in frames.tolist():
        one = slice(frame, frame + 1)
        theirs = body.pose(rest, torch.from_numpy(local[one]).float(), torch.from_numpy(root[one]).float())
        at = torch.from_numpy(take.translation_m[one])
        ours = anny.cpu().pose(person, torch.from_numpy(motion.local(one)).float(), at.float())
        rise.append(float(ours[..., 2].min() - theirs[..., 2].min()))
    return float(np.median(rise))


def _on_nearest_vertices(take: Take, vertices_m: Array) -> dict[str, Any]:
    """What a take holds for each vertex, for (V, 3) other vertices that lie over its mesh at rest."""
    named = {name: getattr(take, name) for name in ("attention", "uncertainty_mm")}
    if all(values is None for values in named.values()):
        return {}
    ours = torch.from_numpy(take.vertices_m.astype(np.float32))
    parts = torch.from_numpy(vertices_m.astype(np.float32)).split(_BLOCK)
    nearest = torch.cat([torch.cdist(part, ours).argmin(1) for part in parts]).numpy()
    return {name: values[:, nearest] for name, values in named.items() if values is not None}


def _warnings(take: Take, body: SmplBody, rest: RestBody, off: Array) -> list[dict[str, str]]:
    warnings = []
    stature, reached = float(np.ptp(take.vertices_m[:, 2])), float(rest.height_m)
    if abs(stature - reached) > _OTHER_STATURE_M:
        message = f"{body.family.name} has no people of {stature:.2f} m: its body is {reached:.2f} m tall."
        warnings.append({"code": "body-other-size", "message": message})
    median = float(np.median(off[take.present]))
    if median > _FAR_OFF_M:
        message = f"The joints of {body.family.name}'s body are {100 * median:.0f} cm off: compare it with the footage."
        warnings.append({"code": "body-far-off", "message": message})
    return warnings
