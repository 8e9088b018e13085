"""The networks' inputs are made from estimate and sight, the same alone and in a batch."""

from __future__ import annotations

from dataclasses import replace

import torch

from model.networks.attention import DAN, HINTS
from model.networks.evidence_maps import RESIDUAL_SCALE, MeshDrawer
from model.networks.looking import People
from model.networks.refinement import HRN
from model.refine.inputs import Prepared, Seen, Start, prepare

from .conftest import DAN_SMALL, Stage, scene


def prepared(stage: Stage, start: Start, seen: Seen) -> Prepared:
    return prepare(stage.map, stage.body.kinematics, MeshDrawer(stage.map), start, seen)


def window(start: Start, seen: Seen, index: int) -> tuple[Start, Seen]:
    def part(values: object) -> dict[str, torch.Tensor]:
        return {k: v[index : index + 1] for k, v in vars(values).items() if isinstance(v, torch.Tensor)}

    return Start(**part(start), people=People(**part(start.people))), Seen(**part(seen))


def test_the_mesh_is_drawn_where_the_landmarks_are_and_signs_hold_the_residual(stage: Stage) -> None:
    for off in (0.0, 0.02):
        given = prepared(stage, *scene(stage, 1, 2, off)).given
        blobs, wrong = given.signs[:, :, :6].sum(2), given.signs[:, :, 6:8]
        assert torch.allclose(wrong[:, :, 0], RESIDUAL_SCALE * off * blobs, atol=1e-4)
        assert wrong[:, :, 1].abs().max() < 1e-4
    silhouette = given.mesh[0, 0, 0]
    assert 0.03 < silhouette.mean() < 0.6
    row, column = (given.where[0, 0][given.visible[0, 0]] * 64).long().clamp(0, 63).unbind(-1)[::-1]
    assert silhouette[row, column].mean() > 0.8 > 2 * silhouette[column, row].mean()
    assert given.features.max() <= 4 and given.features.std() > 0.5


def test_windows_do_not_know_of_each_other(stage: Stage) -> None:
    start, seen = scene(stage, 3, 2, 0.01)
    whole = prepared(stage, start, seen).given
    for index in range(3):
        alone = prepared(stage, *window(start, seen, index)).given
        for name, values in vars(alone).items():
            assert torch.allclose(values.float(), vars(whole)[name][index : index + 1].float(), atol=1e-5), name


def test_a_frame_without_the_person_shows_nothing(stage: Stage) -> None:
    start, seen = scene(stage, 1, 3)
    present = torch.tensor([[True, False, True]])
    ready = prepared(stage, start, replace(seen, present=present))
    given = ready.given
    for values in (given.features, given.signs, given.mesh, given.visible):
        assert values[0, 1].float().abs().max() == 0
        assert values[0, 0].float().abs().max() > 0
    output = DAN(stage.map, DAN_SMALL)(given)
    attention = ready.attention(output)
    assert attention[0, 1].max() == 0 and torch.equal(attention[0, 0], output.attention[0, 0])


def test_hints_are_how_far_others_have_the_landmarks(stage: Stage) -> None:
    start, seen = scene(stage, 2, 3, 0.02)
    there = seen.present.clone()
    there[1, 2] = False
    aside = torch.tensor([[0.03], [0.05]])[..., None] * torch.tensor([0.0, 0.6, 0.8])
    hints = prepared(stage, start, replace(seen, lifted_m=seen.lifted_m + aside, present=there)).given.hints
    assert hints.shape[-1] == HINTS and (hints[1, 2] == 0).all()
    sigma_m, apart_m, missed = (0.1 * hints[there][..., :4].exp()).split([1, 2, 1], -1)
    assert torch.allclose(sigma_m[..., 0], start.sigma_m[there], atol=1e-5)
    assert torch.allclose(apart_m, torch.tensor([0.03, 0.05]).expand_as(apart_m), atol=2e-4)
    assert torch.allclose(missed, torch.tensor(0.02).expand_as(missed), atol=2e-4)
    assert torch.equal(hints[there][..., 4], seen.confidence[there])


def test_the_refinement_looks_at_the_same_landmarks(stage: Stage) -> None:
    ready = prepared(stage, *scene(stage, 1, 2, 0.02))
    torch.manual_seed(0)
    output = DAN(stage.map)(ready.given)
    look = ready.look(output)
    still = torch.zeros(1, 2, len(stage.map.bones), 3), torch.zeros(1, 2, 3)
    residual = look.bones(*still).residual
    expected = torch.tensor([RESIDUAL_SCALE * 0.02, 0.0, 1.0, *[0.0] * 6]).expand_as(residual)
    assert torch.allclose(residual, expected, atol=2e-4)
    refined = HRN(stage.map)(ready.look(output), ready.attention(output), output.sigma_mm, ready.given.time_s)
    assert refined.offsets_m[-1].shape == (1, 2, stage.map.hierarchy.sizes[-1], 3)
