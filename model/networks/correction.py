"""A look at what an answer of the initial network misses, and what to change about it.

The answer is posed on a person of the build that it says, and projected.  Three things are missed: the landmarks in the
picture, BlazePose's 3D, and where the network itself has moved that.  How each joint would have to turn for each of
them is geometry: the gradient of the squared distances.  A small network weighs these turns joint by joint and adds
what they don't tell (learned descent: Song et al., "Human body model fitting by learned gradient descent", ECCV 2020;
as ReFit, Wang and Daniilidis, ICCV 2023, with landmarks in the place of pictures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import lengthened
from .puppet import Puppet, projected
from .straight_view import CONFIDENCE, FLAT, LANDMARKS, LOG_PER_METRE, PRESENT, WORLD, towards

if TYPE_CHECKING:
    from .initial import InitialOutput

KINDS = 3
"""Of what is missed."""
MISSED = LANDMARKS * (2 + 3 + 3)
_MISSED_SCALE, _TURN_SCALE = 5.0, 5.0
_FAR_M, _FAR_SHAPE = 0.5, 2.5
"""Where more makes no difference."""


class Correction(nn.Module):
    """From the frames' tokens and the raw numbers to better raw numbers; untrained, to the same.

    Args:
        puppet: what poses are tried on. known: width of the tokens. balls, hinges: of the pose. outputs: raw numbers,
            of which the first are six of each ball and of the hips, two of each hinge, and three of the place. width,
            kernel: of the layers.
    """

    def __init__(
        self, puppet: Puppet, known: int, balls: int, hinges: int, outputs: int, width: int, kernel: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.puppet, self._outputs = puppet, outputs
        self._joints, self._sizes = (balls, 1, hinges), (6 * balls, 6, 2 * hinges)
        self._turns = sum(self._sizes)
        pulls = KINDS * (3 * (balls + 1) + hinges)
        self.first, self.second = nn.Linear(known + self._turns + 3 + MISSED + pulls, width), nn.Linear(width, width)
        self.mix = nn.Conv1d(width, width, kernel, groups=width)
        self.last = nn.Linear(width, outputs + KINDS * sum(self._joints))
        for value in (self.last.weight, self.last.bias):
            nn.init.zeros_(value)

    def forward(self, known: Tensor, raw: Tensor, said: InitialOutput, features: Tensor) -> Tensor:
        """(B, T, known) tokens, (B, T, outputs) raw numbers, what they say, and (B, T, FEATURES) of ``straight_view``
        to (B, T, outputs)."""
        missed, pulls = self._missed(said, features)
        turns = raw[..., : self._turns]
        known_pulls = torch.cat([part.flatten(2) for pull in pulls for part in pull], -1)
        x = torch.cat([known, turns, said.place, _MISSED_SCALE * missed, _TURN_SCALE * known_pulls], -1)
        x = functional.gelu(self.first(x))
        x = x + self.mix(lengthened(x, self.mix.kernel_size[0]).transpose(1, 2)).transpose(1, 2)
        told = self.last(functional.gelu(self.second(x))).float()
        more, weights = told[..., : self._outputs], told[..., self._outputs :].unflatten(-1, (KINDS, -1))
        of_balls, of_hips, of_hinges = weights.split(self._joints, -1)  # (B, T, KINDS, ...) each
        ball = sum(of_balls[..., kind, :, None] * pull[0] for kind, pull in enumerate(pulls))
        whole = sum(of_hips[..., kind, :] * pull[1] for kind, pull in enumerate(pulls))
        bend = sum(of_hinges[..., kind, :] * pull[2] for kind, pull in enumerate(pulls))
        # Vectors of any length: whoever reads them makes them unit.
        balls, hips, hinges = turns.split(self._sizes, -1)
        balls, hips = balls.unflatten(-1, (-1, 2, 3)), hips.unflatten(-1, (2, 3))
        cosine, sine = hinges.unflatten(-1, (-1, 2)).unbind(-1)
        turned = (
            balls + torch.linalg.cross(ball[..., None, :], balls),
            hips + torch.linalg.cross(whole[..., None, :], hips),
            torch.stack([cosine - bend * sine, sine + bend * cosine], -1),
        )
        return torch.cat([*(part.flatten(2) for part in turned), raw[..., self._turns :]], -1) + more

    def _missed(self, said: InitialOutput, features: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
        """(B, T, MISSED) metres, and for each kind the turns of balls, hips and hinges that would mend it."""
        say = torch.softmax(said.say, 1)[..., None]
        shape, size = (said.shape * say).sum(1).clamp(-_FAR_SHAPE, _FAR_SHAPE), (said.stature[..., :1] * say).sum(1)
        posed = self.puppet(said.balls, said.hinges, said.orientation, shape)
        per_metre = features[..., LOG_PER_METRE].exp()
        flat, world = (features[..., part].unflatten(-1, (LANDMARKS, -1)) for part in (FLAT, WORLD))
        there = features[..., PRESENT, None, None]
        # BlazePose's 3D is as if the camera looked straight at the hips.
        world = world @ towards(said.place[..., :2] * per_metre[..., None]).transpose(-1, -2)
        kinds = (
            (flat - projected(posed.points, said.place, size, per_metre)) * there,
            (world - posed.about) * there,
            said.landmarks_m - posed.about,
        )
        kinds = tuple(kind.clamp(-_FAR_M, _FAR_M) for kind in kinds)
        sure = features[..., CONFIDENCE, None]
        aside = (sure * kinds[0]).sum(2, keepdim=True) / sure.sum(2, keepdim=True).clamp(min=1e-3)
        across = torch.cat([sure * (kinds[0] - aside), torch.zeros_like(sure)], -1)
        pulls = [self.puppet.pulled(posed, missed) for missed in (across, *kinds[1:])]
        return torch.cat([kind.flatten(2) for kind in kinds], -1), pulls
