"""People's colours and clothes."""

from __future__ import annotations

import numpy as np
import torch

from model.body import RestBody
from model.body.raster import rasterise
from model.synth.scene.looks import Wardrobe, random_look


def test_looks_differ_and_come_again_with_their_seed() -> None:
    looks = [random_look(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(looks[0].palette["shirt"], looks[1].palette["shirt"])
    assert not np.array_equal(looks[0].palette["shirt"], looks[2].palette["shirt"])


def test_sewn_clothes_stand_on_their_soles_and_hide_the_skin(wardrobe: Wardrobe, rest: RestBody) -> None:
    body_m = rest.vertices_m.double().numpy()
    for seed in range(3):
        look = random_look(np.random.default_rng(seed))
        dressed = wardrobe.sewn(body_m, look)
        assert dressed.faces.max() < len(dressed.rest_m) == len(dressed.albedo) == len(dressed.skin_weights)
        assert torch.allclose(dressed.skin_weights.sum(1), torch.ones(len(dressed.rest_m)), atol=1e-4)
        assert abs(float(rest.vertices_m[:, 2].min() - dressed.rest_m[:, 2].min()) - dressed.sole_m) < 1e-4
        assert dressed.sole_m > 0.004 if look.shod else dressed.sole_m < 1e-5


def test_painted_clothes_lie_on_the_body(wardrobe: Wardrobe, rest: RestBody) -> None:
    look = random_look(np.random.default_rng(0))
    offset, albedo = wardrobe.painted(rest.vertices_m.double().numpy(), look)
    assert offset.shape == (len(rest.vertices_m),)
    assert offset.min() >= -0.01
    assert 0.005 < offset.max() < 0.09
    assert 0.2 < (offset > 0).float().mean() < 0.9
    skin = torch.from_numpy(look.palette["skin"].astype(np.float32))
    assert torch.isclose(albedo, skin, atol=1e-5).all(1).float().mean() > 0.1


def test_dressed_people_have_no_holes(wardrobe: Wardrobe, rest: RestBody) -> None:
    """From the front, whatever shows the bare body shows the dressed one."""
    K = torch.tensor([[200.0, 0, 64], [0, 200, 96], [0, 0, 1]])
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    place = torch.tensor([0.0, 0, 2.6])
    dressed = wardrobe.sewn(rest.vertices_m.double().numpy(), random_look(np.random.default_rng(4)))
    quads = torch.from_numpy(np.asarray(wardrobe._quads))
    bare_faces = torch.cat([quads[:, :3], quads[:, [0, 2, 3]]])
    middle = rest.vertices_m.mean(0)
    bare, worn = (
        rasterise(((points - middle) @ turn.T + place)[None], faces, K, (128, 192), cull=False).hit[0]
        for points, faces in ((rest.vertices_m, bare_faces), (dressed.rest_m, dressed.faces))
    )
    assert (bare & ~worn).sum() < 0.03 * bare.sum()
