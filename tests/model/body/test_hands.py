from __future__ import annotations

import torch

from model.body import AnnyBody
from model.body.hands import relaxed_fingers
from model.paths import assets_folder


def test_fingers_bend_towards_the_palm_on_both_sides():
    body = AnnyBody.load(assets_folder())
    rest = body.rest(body.default_shape())
    local = torch.eye(3).repeat(1, len(body.bone_names), 1, 1)
    bones, turns = relaxed_fingers(body)
    assert len(bones) == 30
    local[0, bones] = turns.float()
    _, heads = body.kinematics(local, rest.heads_m, rest.heads_m[:1])
    moved = heads[0] - rest.heads_m
    tip = {s: moved[body.bone(f"finger3-3.{s}")] for s in "LR"}
    # At rest the palms face down and inwards.
    for side, inwards in (("L", -1.0), ("R", 1.0)):
        assert 0.008 < float(tip[side].norm()) < 0.06
        assert float(tip[side][0]) * inwards > 0.003
    assert torch.allclose(tip["L"] * torch.tensor([-1.0, 1.0, 1.0]), tip["R"], atol=1e-4)
    still = [i for i in range(len(body.bone_names)) if not body.bone_names[i].startswith("finger")]
    assert float(moved[still].norm(dim=-1).max()) < 1e-6
