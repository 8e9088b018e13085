"""Poses that motion capture lacks: sitting, kneeling, lying, crawling, balancing, squatting, hands at the body.

Each category is a few recipes: ranges of an animator's angles, from which many bodies are drawn.  Arms reach for where
hands rest in such poses, on a thigh, a hip, the chin.  Captured poses, if given, are mirrored and their upper and
lower bodies exchanged.  Everything comes from a seeded generator; ranges are degrees, lengths metres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from model.estimate.pose_angles import angles_from_local, mirrored
from model.estimate.pose_space import PoseSpace

from .limbs import SIGN, Limb, about, arm, around, leg, roll_towards, turned, unit
from .pose_recipes import REACHES, RECIPES, SWINGS, Leg, Range, Recipe

Array = NDArray[np.floating]
Generator = np.random.Generator
MIXED = "mixed from captured poses"
ALIKE = 0.75
"""Chance that both hands do the same."""
UNLIKE = 0.12
"""Standard deviation between two legs of the same recipe, as a share of its ranges."""
SLACK_RAD = {"waist": 0.07, "chest": 0.06, "neck": 0.12, "head": 0.14, "collar": 0.05, "wrist": 0.22, "ankle": 0.1}
"""Standard deviations of what a recipe does not name."""
ANKLE_MOST_RAD = 0.9
CATEGORIES = (*RECIPES, MIXED)


@dataclass(frozen=True)
class Poses:
    """N poses: ``angles`` (N, Q) of the pose space, ``orientation`` (N, 3, 3) of the hips with Z up, float64."""

    angles: Tensor
    orientation: Tensor
    category: NDArray[np.str_]
    """(N,) of ``CATEGORIES``."""


def taken(poses: Poses, rows: NDArray[np.integer]) -> Poses:
    """Some of the poses."""
    index = torch.from_numpy(rows)
    return Poses(poses.angles[index], poses.orientation[index], poses.category[rows])


def joined(parts: list[Poses]) -> Poses:
    """One after the other."""
    return Poses(
        torch.cat([p.angles for p in parts]),
        torch.cat([p.orientation for p in parts]),
        np.concatenate([p.category for p in parts]),
    )


def sample(space: PoseSpace, count: int, seed: int, captured: Poses | None = None) -> Poses:
    """Draw poses, as many of each category as of the next.

    Args:
        space: degrees of freedom. count: N. seed: the same seed draws the same poses.
        captured: poses to mirror and mix; without them there is no ``MIXED``.
    """
    rng = np.random.default_rng(seed)
    categories = CATEGORIES if captured is not None else tuple(RECIPES)
    author = _Author(space)
    made: list[Poses] = []
    for i, category in enumerate(categories):
        size = count // len(categories) + (i < count % len(categories))
        if category == MIXED:
            assert captured is not None
            made.append(_mix(space, size, captured, rng))
            continue
        recipes = RECIPES[category]
        chances = np.array([r.weight for r in recipes])
        for recipe, n in zip(recipes, rng.multinomial(size, chances / chances.sum()), strict=True):
            if n:
                made.append(author.draw(category, recipe, int(n), rng))
    together = joined(made)
    flip = torch.from_numpy(rng.random(count) < 0.5)
    angles, orientation = mirrored(space, together.angles, together.orientation)
    heading = torch.from_numpy(about("z", rng.uniform(-180, 180, count)))
    return Poses(
        torch.where(flip[:, None], angles, together.angles),
        heading @ torch.where(flip[:, None, None], orientation, together.orientation),
        together.category,
    )


def _mix(space: PoseSpace, count: int, captured: Poses, rng: Generator) -> Poses:
    """Hips and legs of one captured pose under the trunk and arms of another, each mirrored or not."""
    lower = torch.tensor([name.split(".")[0] in ("hip", "knee", "ankle") for name in space.names])
    angles, orientation = captured.angles, captured.orientation
    parts = []
    for _ in range(2):
        rows = torch.from_numpy(rng.integers(len(angles), size=count))
        flip = torch.from_numpy(rng.random(count) < 0.5)
        other, turned = mirrored(space, angles[rows], orientation[rows])
        parts.append(
            (
                torch.where(flip[:, None], other, angles[rows]),
                torch.where(flip[:, None, None], turned, orientation[rows]),
            )
        )
    (legs, hips), (rest, _) = parts
    return Poses(torch.where(lower, legs, rest), hips, np.full(count, MIXED))


def _uniform(rng: Generator, span: Range, count: int) -> Array:
    return rng.uniform(min(span), max(span), count)


class _Author:
    """Draws a recipe's poses on the average body."""

    def __init__(self, space: PoseSpace) -> None:
        self.space, self.body = space, space.body
        self.heads = self.body.rest(self.body.default_shape()).heads_m.double().cpu()
        heads = self.heads.numpy()
        self.legs, self.arms, self.palms, self.rolls, self.knuckles = {}, {}, {}, {}, {}
        for s, sign in SIGN.items():
            self.legs[s] = Limb.of(self.body, heads, f"upperleg01.{s}", f"lowerleg01.{s}", f"foot.{s}")
            self.arms[s] = Limb.of(self.body, heads, f"upperarm01.{s}", f"lowerarm01.{s}", f"wrist.{s}")
            thumb, little, middle, wrist = (
                heads[self.body.bone(f"{b}.{s}")] for b in ("finger2-1", "finger5-1", "finger3-1", "wrist")
            )
            self.knuckles[s] = unit(thumb - little)
            self.palms[s] = sign * unit(np.cross(middle - wrist, thumb - little))
            self.rolls[s] = unit(self.arms[s].lower)

    def draw(self, category: str, recipe: Recipe, count: int, rng: Generator) -> Poses:
        """``count`` poses, the leg ``recipe.leg`` always the left one."""
        pitch, roll = _uniform(rng, recipe.pitch, count), _uniform(rng, recipe.roll, count)
        hips = about("y", roll) @ about("x", pitch)
        local = self.space.local_rotations(torch.from_numpy(hips), self._trunk(recipe, count, rng)).numpy()
        upright = np.zeros(count) if recipe.lies else pitch
        share = rng.random((5, count))
        self._leg(local, "L", recipe.leg, upright, share, rng)
        other = rng.random((5, count)) if recipe.other else (share + rng.normal(0, UNLIKE, (5, count))).clip(0, 1)
        self._leg(local, "R", recipe.other or recipe.leg, upright, other, rng)
        posed = self.body.kinematics(torch.from_numpy(local), self.heads, torch.zeros((count, 3), dtype=torch.float64))
        for side, styles in self._hands(recipe.arms, count, rng):
            self._arms(local, posed[0].numpy(), posed[1].numpy(), side, styles, rng)
        angles = angles_from_local(self.space, torch.from_numpy(local), consecutive=False)
        return Poses(angles, torch.from_numpy(hips), np.full(count, category))

    def _trunk(self, recipe: Recipe, count: int, rng: Generator) -> Tensor:
        angles = torch.zeros((count, len(self.space.names)), dtype=torch.float64)
        spine, head = (np.deg2rad(_uniform(rng, r, count)) for r in (recipe.spine, recipe.head))
        bends = {"waist.x": 0.6 * spine, "chest.x": 0.4 * spine, "neck.x": 0.45 * head, "head.x": 0.55 * head}
        turn = np.deg2rad(rng.normal(0, 16, count)) + (rng.choice([-0.9, 0.9], count) if recipe.pitch[0] > 75 else 0.0)
        bends |= {"neck.z": 0.5 * turn, "head.z": 0.5 * turn}
        for i, name in enumerate(self.space.names):
            slack = SLACK_RAD.get(name.split(".")[0], 0.0)
            angles[:, i] = torch.from_numpy(bends.get(name, 0.0) + rng.normal(0, slack, count))
        return angles

    def _leg(self, local: Array, side: str, own: Leg, pitch: Array, share: Array, rng: Generator) -> None:
        """Pose one leg (5, N) ``share`` of the way through its ranges; ``pitch`` degrees more flexed."""
        spans = (own.flex, own.knee, own.out, own.turn, own.foot or (0, 0))
        if own.tied:
            share = share.copy()
            share[1] = (0.85 * share[0] + 0.15 * share[1]).clip(0, 1)
        flex, knee, out, turn, foot = (a + (b - a) * s for (a, b), s in zip(spans, share, strict=True))
        names = [self.body.bone(f"{b}.{side}") for b in ("upperleg01", "lowerleg01", "foot")]
        local[:, names[0]], local[:, names[1]] = leg(self.legs[side], side, flex + pitch, out, turn, knee)
        slack = rng.normal(0, SLACK_RAD["ankle"], (len(local), 3))
        loose = around(unit(slack), np.linalg.norm(slack, axis=1))
        if own.foot is not None:
            local[:, names[2]] = about("x", -foot) @ loose
            return
        # Flat on the ground, as far as an ankle goes, pointing where the shin faces.
        shin = local[:, 0] @ local[:, names[0]] @ local[:, names[1]]
        forward = shin @ [0.0, -1.0, 0.0]
        flat = about("z", np.rad2deg(np.arctan2(forward[:, 0], -forward[:, 1])))
        vectors = Rotation.from_matrix(shin.swapaxes(-1, -2) @ flat).as_rotvec()
        angle = np.linalg.norm(vectors, axis=1)
        local[:, names[2]] = around(unit(vectors), angle.clip(max=ANKLE_MOST_RAD)) @ loose

    def _hands(self, styles: tuple[str, ...], count: int, rng: Generator) -> Iterator[tuple[str, NDArray[np.str_]]]:
        """(N,) style of each hand, mostly the same on both sides."""
        left = rng.choice(styles, count)
        yield "L", left
        yield "R", np.where(rng.random(count) < ALIKE, left, rng.choice(styles, count))

    def _arms(
        self, local: Array, rotations: Array, posed: Array, side: str, styles: NDArray[np.str_], rng: Generator
    ) -> None:
        """Pose one side's arm, each body in its style; ``rotations`` and ``posed`` heads are those before it."""
        names = ("upperarm01", "lowerarm01", "lowerarm02", "wrist")
        upper, fore, roll, wrist = (self.body.bone(f"{b}.{side}") for b in names)
        vectors = rng.normal(0, SLACK_RAD["wrist"], (len(local), 3))
        local[:, wrist] = around(unit(vectors), np.linalg.norm(vectors, axis=1))
        chest = self.body.bone(f"shoulder01.{side}")
        mirror = np.array([SIGN[side], 1.0, 1.0])
        for style in np.unique(styles):
            rows = np.flatnonzero(styles == style)
            if style in SWINGS:
                swing = SWINGS[style]
                spans = (swing.forward, swing.out, swing.twist, swing.elbow)
                local[rows, upper], local[rows, fore] = arm(
                    self.arms[side], side, *(_uniform(rng, span, len(rows)) for span in spans)
                )
                angle = rng.normal(0, 0.3, len(rows))
                if swing.palm is not None:
                    before, palm = (
                        local[rows, upper] @ local[rows, fore],
                        np.tile(np.array(swing.palm) * mirror, (len(rows), 1)),
                    )
                    angle += roll_towards(before, self.rolls[side], self.palms[side], palm, 1.3)
                local[rows, roll] = around(self.rolls[side], angle)
                bend = np.deg2rad(_uniform(rng, swing.wrist, len(rows)))
                local[rows, wrist] = around(self.knuckles[side], SIGN[side] * bend) @ local[rows, wrist]
                continue
            for reach, some in zip(
                REACHES[style], np.array_split(rng.permutation(rows), len(REACHES[style])), strict=True
            ):
                name = f"{reach.bone}.{side}" if reach.bone == "upperleg01" else reach.bone
                bone = self.body.bone(name)
                place = (np.array(reach.wrist_m) + rng.normal(0, 0.6, (len(some), 3)) * reach.spread_m) * mirror
                world = turned(rotations[some, bone], place - self.heads[bone].numpy()) + posed[some, bone]
                back = rotations[some, chest].swapaxes(-1, -2)
                target = turned(back, world - posed[some, chest]) + self.heads[chest].numpy()
                elbow = unit(np.array(reach.elbow) + rng.normal(0, 0.25, (len(some), 3))) * mirror
                local[some, upper], local[some, fore] = self.arms[side].reach(target, elbow)
                palm = turned(back @ rotations[some, bone], np.array(reach.palm) * mirror + np.zeros_like(place))
                before = local[some, upper] @ local[some, fore]
                angle = roll_towards(before, self.rolls[side], self.palms[side], palm, 1.3)
                local[some, roll] = around(self.rolls[side], angle + rng.normal(0, 0.15, len(some)))
