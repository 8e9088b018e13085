"""Hand-made motion off the feet, for testing: kneeling, crawling, lying, one leg, the floor, hands at the face.

A motion is a few keys in an animator's terms, blended smoothly in time.  The body is then laid on the ground, and what
lies on it stays where it is: the root moves so that the points in contact don't slide.
World: metres, Z up, ground at 0; at first facing -Y.  Angles in degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from model.body import AnnyBody, RestBody, skin

from .acts import Motion
from .choreography import ease
from .limbs import SIGN, Limb, about, arm, leg

Array = NDArray[np.floating]
Generator = np.random.Generator
Angles = tuple[float, ...]
_TOUCH_M = 0.006
"""How fast, with its height, a point's hold on the ground fades."""


@dataclass(frozen=True)
class Key:
    """A pose at a time.

    ``hips``: pitch forwards, roll to the right, heading to the left.  Legs: flex, knee, out, turn (outwards), against
    the hips; foot up.  Arms: forward, out, twist inwards, elbow, against the chest.  ``spine`` and ``head``: forwards,
    to the left.
    """

    time_s: float
    hips: Angles = (0, 0, 0)
    leg_l: Angles = (2, 4, 5, 6, 2)
    leg_r: Angles = (2, 4, 5, 6, 2)
    arm_l: Angles = (5, 9, 12, 15)
    arm_r: Angles = (5, 9, 12, 15)
    spine: Angles = (2, 0)
    head: Angles = (0, 0)


def play(body: AnnyBody, rest: RestBody, keys: list[Key], fps: float = 30.0) -> Motion:
    """Blend ``keys`` and lay the body of ``rest`` on the ground; lasts until the last key."""
    times = np.arange(round(keys[-1].time_s * fps)) / fps
    moving = [f.name for f in fields(Key) if f.name != "time_s"]
    track = {name: _blend(times, [k.time_s for k in keys], [getattr(k, name) for k in keys]) for name in moving}
    local = np.tile(np.eye(3), (len(times), len(body.bone_names), 1, 1))
    hips = track["hips"]
    local[:, 0] = about("z", hips[:, 2]) @ about("y", hips[:, 1]) @ about("x", hips[:, 0])
    heads = rest.heads_m.double().numpy()
    for side in SIGN:
        upper, lower, foot = (body.bone(f"{name}.{side}") for name in ("upperleg01", "lowerleg01", "foot"))
        flex, knee, out, turn, up = track[f"leg_{side.lower()}"].T
        limb = Limb.of(body, heads, f"upperleg01.{side}", f"lowerleg01.{side}", f"foot.{side}")
        local[:, upper], local[:, lower] = leg(limb, side, flex, out, turn, knee)
        local[:, foot] = about("x", -up)
        upper, lower = (body.bone(f"{name}.{side}") for name in ("upperarm01", "lowerarm01"))
        limb = Limb.of(body, heads, f"upperarm01.{side}", f"lowerarm01.{side}", f"wrist.{side}")
        local[:, upper], local[:, lower] = arm(limb, side, *track[f"arm_{side.lower()}"].T)
    for names, angles in (
        (("spine05", "spine04", "spine03", "spine02"), track["spine"]),
        (("neck01", "head"), track["head"]),
    ):
        for name in names:
            local[:, body.bone(name)] = about("z", angles[:, 1] / len(names)) @ about("x", angles[:, 0] / len(names))
    return Motion(local, laid_down(body, rest, local), fps)


def _blend(times: Array, at: list[float], values: list[Angles]) -> Array:
    """(T, A) smooth from key to key."""
    out = np.tile(np.array(values[0], float), (len(times), 1))
    for start, end, before, after in zip(at[:-1], at[1:], values[:-1], values[1:], strict=True):
        out += ease(times, start, end)[:, None] * (np.array(after, float) - before)
    return out


def laid_down(body: AnnyBody, rest: RestBody, local: Array) -> Array:
    """(T, 3) root positions with which the lowest point is at 0 and what touches the ground doesn't slide."""
    chosen = torch.arange(0, len(rest.vertices_m), 4)
    rotations, heads = body.kinematics(
        torch.from_numpy(local.astype(np.float32)), rest.heads_m, torch.zeros(len(local), 3)
    )
    points = skin(rest.vertices_m[chosen], rest.heads_m, body.skin_weights_dense[chosen], rotations, heads).numpy()
    root = np.zeros((len(local), 3))
    root[:, 2] = -points[..., 2].min(1)
    for frame in range(1, len(local)):
        heights = points[frame - 1 : frame + 1, :, 2] + root[frame - 1 : frame + 1, 2:]
        hold = np.exp(-heights.sum(0) / _TOUCH_M)
        root[frame, :2] = (
            root[frame - 1, :2] - hold @ np.diff(points[frame - 1 : frame + 1, :, :2], axis=0)[0] / hold.sum()
        )
    return root - [*root[:, :2].mean(0), 0.0]


def kneel(rng: Generator) -> list[Key]:
    """From standing onto one knee, then onto both, and sitting back on the heels."""
    arms = (rng.uniform(20, 50), 12, 10, rng.uniform(30, 70))
    one = Key(1.0, (12, 0, 0), (92, 88, 8, 5, 2), (0, 92, 4, 2, -20), arms, arms, (8, 0), (-5, 0))
    through = replace(one, time_s=1.4, leg_l=(62, 128, 8, 5, -30))  # the foot passes the other knee
    both = Key(1.8, (4, 0, 0), (2, 92, 7, 4, -40), (2, 92, 6, 4, -40), spine=(4, 0))
    sat = Key(
        2.8, (14, 0, rng.uniform(-10, 10)), (82, 148, 8, 2, -45), (82, 148, 8, 2, -45), arms, arms, (10, 8), (8, 10)
    )
    return [Key(0.0), one, through, both, sat, replace(sat, time_s=3.0)]


def crawl(rng: Generator) -> list[Key]:
    """On hands and knees, a hand with the other side's knee."""
    pitch, reach = rng.uniform(76, 88), rng.uniform(14, 22)
    keys, step = [], rng.uniform(0.42, 0.55)
    for number in range(7):
        sign = 1 if number % 2 else -1
        legs = [(pitch + s * sign * reach, 92, 6, 0, -45) for s in (1, -1)]
        arms = [(pitch - s * sign * reach, 6, 0, 12) for s in (1, -1)]
        whole = Key(number * step, (pitch, 0, 0), legs[0], legs[1], arms[0], arms[1], (0, 4 * sign), (-35, 0))
        keys.append(whole)
        if number < 6:  # half-way the moving limbs are off the ground
            lifted, bent = (pitch + 8, 104, 6, 0, -45), (pitch + 22, 8, 0, 48)
            standing, straight = (pitch - 2, 92, 6, 0, -45), (pitch - 2, 6, 0, 12)
            left_moves = sign < 0
            keys.append(
                Key(
                    (number + 0.5) * step, (pitch, 3.0 if left_moves else -3.0, 0),
                    lifted if left_moves else standing, standing if left_moves else lifted,
                    straight if left_moves else bent, bent if left_moves else straight, head=(-35, 0),
                )
            )  # fmt: skip
    return keys


def lie_down(rng: Generator) -> list[Key]:
    """Sitting with stretched legs, down onto the back, and over to the side."""
    arms = (rng.uniform(-50, -30), 22, 0, 20)
    sat = Key(0.0, (-14, 0, 0), (78, 10, 8, 8, -15), (80, 14, 8, 8, -15), arms, arms, (18, 0), (10, 0))
    half = Key(0.9, (-55, 0, 0), (60, 40, 8, 8, -15), (30, 12, 8, 8, -15), arms, arms, (25, 0), (25, 0))
    back = Key(
        1.7, (-90, 0, 0), (35, 65, 8, 5, -15), (2, 4, 9, 10, -25), (10, 35, 10, 30), (30, 60, -20, 80), (0, 0), (5, 15)
    )
    side = Key(
        2.8, (-90, 80, 0), (45, 75, 4, 0, -20), (15, 25, 4, 0, -20), (55, 10, 20, 70), (70, 5, 20, 80), (6, 0), (12, 0)
    )
    return [sat, half, back, side, replace(side, time_s=3.0)]


def one_leg(rng: Generator) -> list[Key]:
    """On one leg: the other knee up, then stretched back, arms out."""
    out = rng.uniform(60, 90)
    up = Key(
        1.0,
        (0, 3, 0),
        (3, 6, 3, 5, 3),
        (rng.uniform(70, 105), rng.uniform(70, 110), 6, 4, -10),
        (10, out, 0, 12),
        (10, out, 0, 12),
    )
    back = Key(
        2.1,
        (rng.uniform(25, 60), 0, 0),
        (30, 8, 3, 5, -2),
        (-22, 20, 6, 4, -30),
        (60, out, 0, 8),
        (60, out, 0, 8),
        (0, 0),
        (-30, 0),
    )
    back = replace(back, leg_l=(back.hips[0] + 4, 8, 3, 5, 4))
    return [Key(0.0), up, replace(up, time_s=1.3), back, replace(back, time_s=2.4)]


def on_the_floor(rng: Generator) -> list[Key]:
    """Sitting cross-legged, then one knee drawn up."""
    crossed = (90, 125, 44, 66, -15)
    rest_ = (30, 25, 10, 45)
    sat = Key(0.0, (-6, 0, 0), crossed, (88, 118, 44, 66, -15), rest_, rest_, (14, 0), (8, 0))
    drawn = Key(1.2, (-18, 0, 0), (128, 132, 4, 0, -10), crossed, (70, 8, 10, 40), (-30, 20, 0, 15), (18, 10), (5, 25))
    return [sat, drawn, replace(sat, time_s=2.4, head=(15, rng.uniform(-30, 30))), replace(sat, time_s=2.6)]


def hands_to_face(rng: Generator) -> list[Key]:
    """One hand to the mouth, the other to the hair, then both before the face."""
    mouth, hair = (48, 18, 52, 128), (88, 70, -20, 128)
    both = (62, 6, 40, 125)
    return [
        Key(0.0, head=(4, 0)),
        Key(0.7, arm_l=mouth, head=(10, rng.uniform(0, 15))),
        Key(1.3, arm_l=mouth, arm_r=hair, spine=(4, -8), head=(8, -12)),
        Key(2.0, arm_l=both, arm_r=both, spine=(12, 0), head=(18, 0)),
        Key(2.5, arm_l=both, arm_r=(20, 10, 10, 60), head=(5, rng.uniform(-25, 25))),
    ]


KEYED: dict[str, Callable[[Generator], list[Key]]] = {
    "kneel": kneel,
    "crawl": crawl,
    "lie": lie_down,
    "one leg": one_leg,
    "floor": on_the_floor,
    "hands to face": hands_to_face,
}
