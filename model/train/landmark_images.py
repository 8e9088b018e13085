"""Pictures of dressed, posed Anny bodies and what BlazePose sees in them: the data of the landmark regressor.

Every body, pose, outfit, camera and light is drawn from a seeded generator here; nothing is read from motion capture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.spaces import intrinsics
from model.body import AnnyBody
from model.synth.motion.puppet import SIDES, FootPose, Posture, Puppet, arm, turn
from model.synth.render.painter import Paint, paint
from model.synth.scene.outfit import Garment

Array = NDArray[np.floating]
Generator = np.random.Generator
LAYERS_M = {
    "teeth": -0.02,
    "brows": 0.004,
    "lips": 0.004,
    "irises": 0.002,
    "trousers": 0.012,
    "shirt": 0.02,
    "hair": 0.01,
}
SHAPES = {
    "gender": (0.0, 1.0), "age": (0.45, 0.85), "muscle": (0.2, 0.8), "weight": (0.2, 0.8), "height": (0.25, 0.75),
    "proportions": (0.2, 0.8),
}  # fmt: skip
"""Phenotypes of the people drawn: lowest and highest."""
BENDS_DEG = {
    "spine05": (5, 3, 4), "spine04": (5, 3, 4), "spine03": (5, 3, 4), "spine02": (4, 3, 4), "spine01": (4, 3, 4),
    "neck01": (7, 4, 8), "head": (9, 5, 12),
}  # fmt: skip
"""Standard deviations of bending forwards, sideways and turning."""
See = Callable[[NDArray[np.uint8]], "tuple[Array, Array] | None"]
"""An upright RGB image to BlazePose's (33, 2) pixels and (33,) visibility, or None where it finds nobody."""


@dataclass(frozen=True)
class Person:
    """One build in one outfit."""

    rest_m: Array
    heads_m: Array
    garments: list[tuple[Garment, Array, Array, Array]]
    """Garment, its rest vertices, its skin weights, its colour."""
    puppet: Puppet
    height_m: float


@dataclass(frozen=True)
class Observation:
    """One picture: the posed body in camera space, and BlazePose's landmarks."""

    person: int
    vertices_cam_m: Array
    heads_cam_m: Array
    K: Array
    height_m: float
    landmarks_px: Array
    visibility: Array


def random_person(body: AnnyBody, tailor_garments: list[Garment], rng: Generator) -> Person:
    """An adult of either sex and any build, in clothes of any colour."""
    shape = body.default_shape()
    for name, (low, high) in SHAPES.items():
        shape[body.shape_names.index(name)] = float(
            rng.choice([0.05, 0.95]) if name == "gender" else rng.uniform(low, high)
        )
    rest = body.rest(shape)
    vertices, heads = rest.vertices_m.double().numpy(), rest.heads_m.double().numpy()
    skin = np.array([0.86, 0.64, 0.53]) * rng.uniform(0.45, 1.08)
    palette = {
        "skin": skin, "lips": skin * [0.88, 0.68, 0.70], "teeth": np.full(3, 0.9), "whites": np.full(3, 0.92),
        "irises": rng.uniform(0.08, 0.4, 3), "hair": np.array([0.5, 0.36, 0.24]) * rng.uniform(0.1, 1.2),
        "shirt": rng.uniform(0.05, 0.95, 3), "trousers": rng.uniform(0.05, 0.6, 3),
        "shoes": np.full(3, rng.uniform(0.05, 0.9)), "soles": np.full(3, rng.uniform(0.1, 0.95)),
    }  # fmt: skip
    if rng.random() < 0.25:  # shorts: bare legs show the knee
        palette["trousers"] = skin
    weights = body.skin_weights_dense.double().numpy()
    looseness = float(rng.uniform(0.5, 1.5))
    garments = [
        (
            g,
            g.rest_m(vertices, looseness if g.name in ("shirt", "trousers") else 1.0),
            g.combine @ weights,
            palette[g.colour],
        )
        for g in tailor_garments
        if not (g.name == "hair" and rng.random() < 0.1)
    ]
    puppet = Puppet(heads, body.bone_parents, body.bone_names, vertices[:, 2].min())
    return Person(vertices, heads, garments, puppet, float(np.ptp(vertices[:, 2])))


def random_posture(puppet: Puppet, rng: Generator) -> Posture:
    """Standing, striding, lunging, squatting, sitting on nothing; arms anywhere; trunk bent and turned."""
    kind = rng.choice(["stand", "stride", "lunge", "squat", "sit"], p=[0.35, 0.3, 0.12, 0.15, 0.08])
    leg, hip_x = puppet.leg_m, abs(puppet.head("upperleg01.L")[0])
    drop = (
        {"stand": 0.01, "stride": 0.03, "lunge": 0.16, "squat": 0.30, "sit": 0.44}[kind] * leg * rng.uniform(0.5, 1.25)
    )
    lean = {"squat": 30.0, "sit": 8.0, "lunge": 8.0}.get(str(kind), 0.0) * rng.uniform(0.4, 1.4)
    stride = {"stride": 0.33, "lunge": 0.5}.get(str(kind), 0.05) * leg * rng.uniform(0.6, 1.3) * rng.choice([-1, 1])
    width = {"squat": 1.7, "sit": 1.2}.get(str(kind), 1.0) * rng.uniform(0.7, 1.9) * hip_x
    back = {"squat": 0.14, "sit": 0.42}.get(str(kind), 0.0) * leg
    pelvis_m = puppet.heads_m[0] * [1, 1, 0] + [
        rng.normal(0, 0.03),
        back * rng.uniform(0.8, 1.2),
        puppet.standing_pelvis_m - drop,
    ]
    pelvis = turn("z", rng.normal(0, 8)) @ turn("y", rng.normal(0, 3)) @ turn("x", lean + rng.normal(0, 4))
    feet: dict[str, FootPose] = {}
    for side, sign in SIDES.items():
        y = sign * stride / 2
        pitch = 25.0 * rng.random() * (y > 0.1 * leg) - 15.0 * rng.random() * (y < -0.15 * leg)
        xy = np.array([sign * width, puppet.head(f"foot.{side}")[1] + y])
        feet[side] = puppet.planted(side, xy, sign * rng.normal(6, 8), pitch)
    if rng.random() < 0.15 and kind in ("stand", "stride"):  # one foot in the air
        side = str(rng.choice(["L", "R"]))
        lift = np.array([SIDES[side] * rng.uniform(0, 0.2), rng.uniform(-0.4, 0.3), rng.uniform(0.1, 0.4)]) * leg
        feet[side] = FootPose(feet[side].ankle_m + lift, feet[side].rotation @ turn("x", rng.uniform(-10, 50)))
    joints = {}
    for bone, (x, y, z) in BENDS_DEG.items():
        joints[bone] = (
            turn("z", rng.normal(0, z))
            @ turn("y", rng.normal(0, y))
            @ turn("x", rng.normal(-lean / 6 if bone in ("neck01", "head") else 0, x))
        )
    for side in SIDES:
        joints.update(_random_arm(side, puppet, rng))
    return Posture(pelvis_m, pelvis, feet, joints)


def _random_arm(side: str, puppet: Puppet, rng: Generator) -> dict[str, Array]:
    kind = rng.choice(["down", "forward", "out", "up", "hip"], p=[0.35, 0.25, 0.18, 0.12, 0.1])
    forward, out, twist, elbow = {
        "down": (rng.normal(0, 22), rng.uniform(4, 25), rng.normal(10, 15), rng.uniform(5, 45)),
        "forward": (rng.uniform(25, 100), rng.uniform(0, 35), rng.normal(20, 25), rng.uniform(5, 110)),
        "out": (rng.normal(0, 15), rng.uniform(45, 100), rng.normal(0, 30), rng.uniform(0, 100)),
        "up": (rng.uniform(-10, 30), rng.uniform(110, 160), rng.normal(0, 25), rng.uniform(0, 70)),
        "hip": (rng.normal(-20, 10), rng.uniform(30, 50), rng.normal(60, 15), rng.uniform(70, 110)),
    }[str(kind)]
    joints = arm(side, forward, out, twist, elbow, puppet)
    sign = SIDES[side]
    shrug = max(out - 60.0, 0.0) * 0.25
    joints[f"clavicle.{side}"] = turn("y", -sign * shrug)
    joints[f"wrist.{side}"] = turn("x", rng.normal(0, 12)) @ turn("y", rng.normal(0, 12)) @ turn("z", rng.normal(0, 12))
    curl = rng.uniform(0, 35)
    for finger in range(2, 6):
        for segment in range(1, 4):
            joints[f"finger{finger}-{segment}.{side}"] = turn("y", sign * curl) if rng.random() < 0.9 else np.eye(3)
    return joints


def observe(
    person_index: int, person: Person, body: AnnyBody, see: See, rng: Generator
) -> tuple[Observation | None, NDArray[np.uint8]]:
    """One random pose through one random camera, drawn and looked at; None where BlazePose finds nobody."""
    local, root = person.puppet.pose(random_posture(person.puppet, rng), knee_out_deg=float(rng.normal(8, 6)))
    camera, K, (width, height) = _random_camera(person, rng)
    heads = torch.from_numpy(person.heads_m)
    rotations, posed = body.kinematics(torch.from_numpy(local)[None], heads, torch.from_numpy(root)[None])
    affine = np.concatenate(
        [rotations[0].numpy(), (posed[0] - (rotations[0] @ heads[..., None])[..., 0]).numpy()[..., None]], -1
    )
    rotation, offset = camera[:3, :3], camera[:3, 3]

    def skin(rest_m: Array, weights: Array) -> Array:
        blended = np.einsum("gb,bij->gij", weights, affine)
        world = (blended[..., :3] @ rest_m[..., None])[..., 0] + blended[..., 3]
        return np.asarray(world @ rotation.T + offset)

    parts = [
        Paint(skin(rest_m, weights), g.polygons, rgb, LAYERS_M.get(g.name, 0.0))
        for g, rest_m, weights, rgb in person.garments
    ]
    light = np.array([rng.normal(0, 0.6), -1.0, rng.uniform(-1.2, 0.2)])
    image = paint(parts, K, _random_background(width, height, rng), light, float(rng.uniform(0.35, 0.65)))
    image = np.clip(image + rng.normal(0, rng.uniform(0, 6), image.shape), 0, 255).astype(np.uint8)
    seen = see(image)
    if seen is None:
        return None, image
    vertices = skin(person.rest_m, body.skin_weights_dense.double().numpy())
    return Observation(person_index, vertices, posed[0].numpy() @ rotation.T + offset, K, person.height_m, *seen), image


def _random_camera(person: Person, rng: Generator) -> tuple[Array, Array, tuple[int, int]]:
    """World to camera (4, 4), K, and image size; the person fills most of the picture's height."""
    width, height = [(480, 640), (640, 480), (512, 512)][rng.integers(3)]
    focal = float(rng.uniform(0.9, 2.2) * max(width, height))
    distance = focal * person.height_m / (height * rng.uniform(0.42, 0.74))
    yaw = rng.normal(0, 55) if rng.random() < 0.7 else rng.uniform(-180, 180)
    pitch = rng.normal(6, 9)
    # Rest axes (x left, y back, z up) seen from the front: camera x is the body's left, camera y is down.
    front = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    tilt = np.array(turn("x", pitch)) @ np.array(turn("z", rng.normal(0, 3)))
    rotation = tilt @ front @ turn("z", yaw)
    middle = np.array([0.0, 0.0, 0.5 * person.height_m])
    place = np.array([rng.normal(0, 0.06), rng.normal(0, 0.03), 1.0]) * distance
    return (
        np.block([[rotation, (place - rotation @ middle)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]]),
        intrinsics(focal, width, height),
        (width, height),
    )


def _random_background(width: int, height: int, rng: Generator) -> NDArray[np.uint8]:
    """Blurred noise over a wall and a floor: no structure that a person could be taken for."""
    image = np.empty((height, width, 3))
    horizon = int(height * rng.uniform(0.45, 0.8))
    image[:horizon], image[horizon:] = rng.uniform(60, 230, 3), rng.uniform(50, 200, 3)
    for cells, strength in ((6, 18), (24, 10), (96, 8)):
        noise = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(image.clip(0, 255), np.uint8)
