"""What the ``smplx`` package's own model classes make of a file: the yardstick for everything about the SMPL family.

The classes unpickle the file, so this is for the tests' own files alone; and they pick surface points by their number
on the official meshes, which the tiny ones do not have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.body.smpl_file import read_model


def reference(path: Path, betas: torch.Tensor, rotvecs: torch.Tensor, translation: torch.Tensor) -> Any:
    """The package's output for (P,) betas, (T, J, 3) absolute rotation vectors and (T, 3), in the model's axes."""
    import smplx
    from smplx.utils import Struct

    arrays, family = read_model(path)
    frames = len(rotvecs)
    common = {"batch_size": frames, "num_betas": len(betas), "dtype": torch.float64}
    hands = {"use_pca": False, "flat_hand_mean": True}
    flat = rotvecs.flatten(1)
    pose = {"global_orient": flat[:, :3], "body_pose": flat[:, 3:66], "betas": betas.expand(frames, -1)}
    if family.name == "SMPL":
        model = smplx.SMPL("", data_struct=Struct(**arrays), **common)
        pose["body_pose"] = flat[:, 3:]
    elif family.name == "SMPL-H":
        none = {f"hands_components{side}": np.zeros((45, 45)) for side in "lr"}
        none |= {f"hands_mean{side}": np.zeros(45) for side in "lr"}
        # With fewer than 300 shapes in the file the package looks at 10 of them.
        missing = 300 - arrays["shapedirs"].shape[2]
        arrays["shapedirs"] = np.pad(arrays["shapedirs"], ((0, 0), (0, 0), (0, missing)))
        model = smplx.SMPLH("", data_struct=Struct(**arrays, **none), **common, **hands)
        pose |= {"left_hand_pose": flat[:, 66:111], "right_hand_pose": flat[:, 111:]}
    else:
        model = smplx.SMPLX(str(_plain(path)), ext="npz", num_expression_coeffs=10, **common, **hands)
        pose |= {"jaw_pose": flat[:, 66:69], "leye_pose": flat[:, 69:72], "reye_pose": flat[:, 72:75]}
        pose |= {"left_hand_pose": flat[:, 75:120], "right_hand_pose": flat[:, 120:]}
    model.vertex_joint_selector.extra_joints_idxs = torch.zeros(0, dtype=torch.long)
    with torch.no_grad():
        return model(transl=translation, **pose)


def _plain(path: Path) -> Path:
    """An SMPL-X file that the package can read: it has no way to be given arrays."""
    if path.suffix == ".npz":
        return path
    from tests.model.body.tiny_smpl import smplx_arrays

    plain = path.with_name("plain.npz")
    np.savez(plain, **smplx_arrays())
    return plain
