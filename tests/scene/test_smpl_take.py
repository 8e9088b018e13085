"""A take made with SMPL-X becomes a mesh and a rig that move as the ``smplx`` package's own model does."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.take import Take, load, save
from amr_blender.scene import bring_in
from amr_blender.scene.timing import StripTiming

from . import reference

torch = pytest.importorskip("torch", reason="the environment of the old Blender has no torch")
pytest.importorskip("smplx")
FRAMES = 24


@pytest.fixture(scope="module")
def made(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Take, Any]:
    """A take that has been through its file, and (T, V, 3) what the package makes of the same shape and poses."""
    from model.body import AnnyBody
    from model.body.amass import amass_arrays
    from model.body.smpl_family import SmplBody
    from model.body.transfer import transfer
    from tests.model.body import tiny_smpl
    from tests.model.body.anny_take import a_motion, a_person, make_take
    from tests.model.body.smplx_reference import reference as package

    folder = tmp_path_factory.mktemp("smplx")
    path, anny = tiny_smpl.write_smplx(folder), AnnyBody.load(assets)
    save(transfer(make_take(anny, a_person(anny), a_motion(anny, FRAMES)), anny, SmplBody.load(path)), folder / "t.npz")
    take = load(folder / "t.npz")
    amass = {name: torch.from_numpy(array) for name, array in amass_arrays(take).items() if array.dtype.kind == "f"}
    out = package(path, amass["betas"], amass["poses"].unflatten(1, (-1, 3)), amass["trans"])
    return take, out.vertices.numpy()


def test_the_mesh_moves_as_the_model_does(blender: ModuleType, made: tuple[Take, Any]) -> None:
    take, expected = made
    timing = StripTiming(1, FRAMES, 1, 1.0, FRAMES - 1, 30.0)
    blender.context.scene.render.fps = 30
    result = bring_in.bring_in(blender.context, take, timing)
    for frame in (0, 7, 16, FRAMES - 1):
        rigged = reference.evaluated(blender, result.mesh, frame + 1)
        assert np.linalg.norm(rigged - expected[frame], axis=-1).max() < 1e-3
        baked = reference.evaluated(blender, result.baked, frame + 1)
        assert np.linalg.norm(baked - expected[frame], axis=-1).max() < 1e-3 + result.baked_error_mm / 1000


def test_the_mesh_is_the_models(blender: ModuleType, made: tuple[Take, Any]) -> None:
    take, _ = made
    blender.context.scene.render.fps = 30
    result = bring_in.bring_in(blender.context, take, StripTiming(1, FRAMES, 1, 1.0, FRAMES - 1, 30.0))
    body = blender.data.objects[result.mesh]
    assert len(body.data.vertices) == len(take.vertices_m)
    assert len(body.data.polygons) == len(take.quads)
    assert {len(polygon.vertices) for polygon in body.data.polygons} == {3}
    assert len(body.data.uv_layers) == 1, "SMPL-X brings its texture coordinates"
    rig = blender.data.objects[result.armature]
    assert len(rig.data.bones) == 56
    for bone in ("hips", "knee.L", "wrist.R", "index1.L", "jaw", "eye.R"):
        assert bone in rig.data.bones
    assert rig.data.bones["index1.L"].parent.name == "wrist.L"
    assert {"Arm.L", "Hand.R", "Leg.L", "Head", "Torso"} <= {c.name for c in rig.data.collections}
    assert body.data.shape_keys is not None, "pose correctives are shape keys"
