"""A take as an AMASS file, judged by what the ``smplx`` package makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import TakeError
from amr_blender.contract.take import Take, load, save
from model.__main__ import main
from model.body import AnnyBody
from model.body.amass import amass_arrays, write_amass
from model.body.pose_transfer import TakeMotion
from model.body.smpl_family import SmplBody
from model.body.transfer import transfer
from tests.contract.tiny_take import tiny_take
from tests.model.body import tiny_smpl
from tests.model.body.anny_take import FPS, a_motion, a_person, make_take
from tests.model.body.smplx_reference import reference
from tests.scene.reference import vertices as skinned

pytest.importorskip("smplx")
WRITERS = {"SMPL": tiny_smpl.write_smpl, "SMPL-H": tiny_smpl.write_smplh, "SMPL-X": tiny_smpl.write_smplx}
SIZES = {"SMPL": 72, "SMPL-H": 156, "SMPL-X": 165}


@pytest.fixture(scope="module")
def anny_take(assets: Path) -> tuple[AnnyBody, Take]:
    anny = AnnyBody.load(assets)
    return anny, make_take(anny, a_person(anny), a_motion(anny, 20))


@pytest.fixture(scope="module", params=WRITERS)
def made(
    request: pytest.FixtureRequest, anny_take: tuple[AnnyBody, Take], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SmplBody, Take]:
    """A model's file, the body in it, and a take made with it."""
    path = WRITERS[request.param](tmp_path_factory.mktemp("model"))
    body = SmplBody.load(path)
    return path, body, transfer(anny_take[1], anny_take[0], body)


def read(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_the_package_makes_the_same_body_of_it(made: tuple[Path, SmplBody, Take], tmp_path: Path) -> None:
    """Through two files: the take's and AMASS's.  Z up, metres, no constant left out: vertices in the world."""
    model, body, take = made
    save(take, tmp_path / "take.npz")
    write_amass(load(tmp_path / "take.npz"), tmp_path / "amass.npz")
    amass = read(tmp_path / "amass.npz")
    assert amass["poses"].shape == (20, SIZES[body.family.name])
    poses, trans = (torch.from_numpy(amass[name]) for name in ("poses", "trans"))
    out = reference(model, torch.from_numpy(amass["betas"]), poses.unflatten(1, (-1, 3)), trans).vertices.numpy()

    local = torch.from_numpy(TakeMotion(take).local(slice(None)))
    rest = body.rest(torch.from_numpy(take.shape_values).double())
    expected = body.pose(rest, local, torch.from_numpy(take.translation_m).double()).numpy()
    assert np.linalg.norm(out - expected, axis=-1).max() < 1e-4
    for frame in (0, 19):
        assert np.linalg.norm(out[frame] - skinned(take, frame), axis=-1).max() < 5e-4, "as the take shows it"
    assert out[..., 2].max() > 1.2 and out[..., 2].min() > -0.1, "Z is up"


def test_fields(made: tuple[Path, SmplBody, Take]) -> None:
    _, body, take = made
    amass = amass_arrays(take)
    assert str(amass["surface_model_type"]) == {"SMPL": "smpl", "SMPL-H": "smplh", "SMPL-X": "smplx"}[body.family.name]
    assert str(amass["gender"]) == body.gender
    assert float(amass["mocap_frame_rate"]) == float(amass["mocap_framerate"]) == pytest.approx(FPS)
    assert float(amass["mocap_time_length"]) == pytest.approx(20 / FPS)
    assert amass["betas"].shape == (int(amass["num_betas"]),) == take.shape_values.shape
    parts = [amass[n] for n in ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand") if n in amass]
    if body.family.name != "SMPL":
        np.testing.assert_array_equal(np.concatenate(parts, 1), amass["poses"])


def test_footage_of_variable_rate_becomes_even(made: tuple[Path, SmplBody, Take]) -> None:
    _, _, take = made
    gap = replace(take, time_s=take.time_s + np.where(np.arange(20) >= 10, 2 / FPS, 0))
    even, amass = amass_arrays(take), amass_arrays(gap)
    assert len(amass["poses"]) == len(amass["trans"]) == len(amass["present"]) == 22
    np.testing.assert_allclose(amass["trans"][:10], even["trans"][:10], atol=1e-6)
    np.testing.assert_allclose(amass["trans"][12:], even["trans"][10:], atol=1e-6)
    np.testing.assert_allclose(amass["trans"][10], (2 * even["trans"][9] + even["trans"][10]) / 3, atol=1e-6)
    first = {name: getattr(take, name)[:1] for name in ("time_s", "rotations", "translation_m", "present")}
    one = amass_arrays(replace(take, **first))
    assert len(one["poses"]) == 1 and float(one["mocap_frame_rate"]) == 25.0


def test_empty_frames_have_no_say(made: tuple[Path, SmplBody, Take]) -> None:
    _, _, take = made
    present, path = np.ones(20, bool), take.translation_m.copy()
    present[[0, 1, 7, 8, 19]] = False
    path[~present] = 99.0
    even, amass = amass_arrays(take), amass_arrays(replace(take, present=present, translation_m=path))
    assert amass["present"].tolist() == present[2:19].tolist()
    np.testing.assert_allclose(amass["trans"][[0, 1, 2, 3, 4, 7, 16]], even["trans"][[2, 3, 4, 5, 6, 9, 18]], atol=1e-6)
    np.testing.assert_allclose(amass["trans"][5], (2 * even["trans"][6] + even["trans"][9]) / 3, atol=1e-6)
    with pytest.raises(TakeError, match="no frame"):
        amass_arrays(replace(take, present=np.zeros(20, bool)))


def test_a_take_made_with_anny(tmp_path: Path) -> None:
    anny = tiny_take()
    anny.meta["body"] = {"name": "Anny", "licence": "Apache-2.0"}
    with pytest.raises(TakeError) as caught:
        write_amass(anny, tmp_path / "amass.npz")
    assert caught.value.code == "take-other-body"
    assert "Anny" in caught.value.message and "Reconstruct" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"root_at_rest_m": None}, {"root_at_rest_m": [0.0, 1.0]}, {"root_at_rest_m": ["a", "b", "c"]},
        {"root_at_rest_m": {}}, {"root_at_rest_m": [0.0, float("nan"), 0.0]},
        {"gender": 3}, {"surface_model_type": "mano"}, {"surface_model_type": "smplx"},
    ],
    ids=str,
)  # fmt: skip
def test_a_take_that_says_too_little(anny_take: tuple[AnnyBody, Take], tmp_path: Path, change: dict[str, Any]) -> None:
    take = transfer(anny_take[1], anny_take[0], SmplBody.load(tiny_smpl.write_smplh(tmp_path)))
    take.meta["body"] |= change
    with pytest.raises(TakeError, match="AMASS is for"):
        amass_arrays(take)


def test_through_the_command_line(
    made: tuple[Path, SmplBody, Take], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(made[2], tmp_path / "take.npz")
    out = tmp_path / "new" / "amass.npz"
    assert main(["export", str(tmp_path / "take.npz"), "--amass", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    np.testing.assert_array_equal(read(out)["poses"], amass_arrays(load(tmp_path / "take.npz"))["poses"])


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tiny_take(), tmp_path / "anny.npz")
    (tmp_path / "file").touch()
    for arguments, word in (
        ([str(tmp_path / "anny.npz"), "--amass", str(tmp_path / "out.npz")], "AMASS is for"),
        ([str(tmp_path / "none.npz"), "--amass", str(tmp_path / "out.npz")], "There is no take"),
    ):
        assert main(["export", *arguments]) == 1
        assert word in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "anny.npz")])
    assert "--amass" in capsys.readouterr().err
