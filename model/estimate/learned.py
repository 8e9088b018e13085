"""The initial estimate by the network: a clip's evidence in, a body with its doubts out.

The clip is read in overlapping windows; what they say is faded into each other, so that there are no seams.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from amr_blender.contract.errors import RuntimeSetupError
from model.networks.initial import InitialNet, InitialOutput, InitialSettings
from model.networks.layers import lengthened
from model.networks.straight_view import StraightView, straight_view
from model.networks.weights import read_weights

from .evidence import STATURE_M, Evidence
from .mirror import mean_output, mirrored_features, mirrored_output
from .pose_layout import PoseLayout
from .pose_space import Pose, PoseSpace
from .rotation import nearest_rotation

FILE = "initial.safetensors"
CALM_S = 0.02
"""Standard deviation in time of what calms a draft; the network follows the landmarks, and they tremble."""
_POSE = ("balls", "hinges", "orientation", "ray", "depth")
WINDOW, OVERLAP = 96, 32
"""Frames; the window is what the network was trained on."""
SEEN_PER_SIGMA, STEEPNESS = 0.7, 4.0
"""Standard deviation for the scale of the network's doubt in a landmark; the power of it by which trust is lost."""
USUAL_TRUST, NEED, NEED_LEAST, NEED_MOST = 0.5, 6.0, 0.8, 2.0
"""Mean trust in the landmarks of usual footage; the power of the lack of it by which the network counts more, and the
lacks that count least and most: on good footage the picture tells more than the network."""
SURE_RAD, SURENESS, SUREST = 0.15, 9.0, 3.0
"""Mean doubt of the angles of people like those that the network was trained on; the power of it, and the most, by
which it counts more where it is surer.  What it has seen nothing like it is less sure of."""
LOST_TRUST, LOST, LOST_MOST = 0.35, 6.0, 1.5
"""Mean trust below which the network counts however unsure it is, for there is nothing else; the power of the lack, and
the lack that counts most."""


@dataclass(frozen=True)
class Learned:
    """What the network says of T frames, float64, camera space."""

    pose: Pose
    angle_sigma: Tensor
    """(T, Q) radians."""
    orientation_sigma: Tensor
    """(T, 3) radians, about the axes of the straight view."""
    landmarks_m: Tensor
    """(T, L, 3) about the hips, camera axes, of a body of 1.7 m."""
    landmark_sigma_m: Tensor
    """(T, L) of them."""
    seen_sigma: Tensor
    """(T, L) by how much the detector's landmarks are off in the picture, in statures."""
    up: Tensor
    """(3,) unit vector against gravity."""
    contacts: Tensor
    """(T, C) probabilities."""
    exchanged: Tensor
    """(T, G) probabilities that the sides of a group are exchanged."""
    shape: Tensor
    """(P,) of the body model."""
    stature_m: float
    stature_sigma: float
    """Of its logarithm."""

    def trusted(self, evidence: Evidence, reprojection: float) -> Evidence:
        """The evidence, each landmark trusted as the network trusts it, no longer as its detector does.

        Args:
            reprojection: standard deviation of a good landmark, in statures.
        """
        return replace(evidence, confidence=self._trust(reprojection) * (evidence.confidence > 0))

    def need(self, reprojection: float) -> Tensor:
        """(T,) how much more or less than usual the network counts: more where it does not trust the landmarks, and
        where it is sure of itself."""
        trust = self._trust(reprojection).mean(1)
        sure = (SURE_RAD / self.angle_sigma.mean(1)) ** SURENESS
        need = (USUAL_TRUST / trust).clamp(min=NEED_LEAST, max=NEED_MOST) ** NEED * sure.clamp(max=SUREST)
        return torch.maximum(need, (LOST_TRUST / trust).clamp(max=LOST_MOST) ** LOST)

    def _trust(self, reprojection: float) -> Tensor:
        return 1 / (1 + (SEEN_PER_SIGMA * self.seen_sigma / reprojection) ** STEEPNESS)

    def part(self, frames: slice) -> Learned:
        """The same in a stretch of frames."""
        whole = ("pose", "up", "shape", "stature_m", "stature_sigma")
        kept = {k: v if k in whole else v[frames] for k, v in vars(self).items()}
        return Learned(**{**kept, "pose": self.pose.part(frames)})


class InitialEstimate:
    """The trained network beside a pose space.

    Args:
        net: the network. layout: of the pose space. shape_mean, shape_sigma: (P,) what its shape is standardised by.
    """

    def __init__(self, net: InitialNet, layout: PoseLayout, shape_mean: Tensor, shape_sigma: Tensor) -> None:
        self._net, self.layout = net.eval(), layout
        self.settings, self.shape_mean, self.shape_sigma = net.settings, shape_mean, shape_sigma

    @classmethod
    def load(cls, path: Path, space: PoseSpace) -> InitialEstimate:
        """Read ``initial.safetensors``.

        Raises:
            RuntimeSetupError: the file is missing, damaged, or about another pose space or body.
        """
        state, about = read_weights(path)
        try:
            if about["angles"] != space.names or about["shape_names"] != space.body.shape_names:
                raise ValueError("it is about another body")
            settings, layout = InitialSettings(**about["settings"]), PoseLayout(space)
            mean, sigma = (torch.tensor(about[name], dtype=torch.float64) for name in ("shape_mean", "shape_sigma"))
            if mean.shape != (settings.shape,) or sigma.shape != mean.shape:
                raise ValueError("it is about another body")
            net = InitialNet(settings, layout.puppet(mean, sigma))
            net.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RuntimeSetupError(
                "weights-mismatched", f"{path.name} can't be used ({error}).", "Install the add-on again."
            ) from error
        return cls(net, layout, mean, sigma)

    def untrained(self, seed: int) -> InitialEstimate:
        """The same with weights as they are before training, as a control."""
        torch.manual_seed(seed)
        net = InitialNet(self.settings, self.layout.puppet(self.shape_mean, self.shape_sigma))
        return InitialEstimate(net, self.layout, self.shape_mean, self.shape_sigma)

    @torch.no_grad()
    def __call__(self, evidence: Evidence, height_m: float | None = None, alone: bool = False) -> Learned:
        """Estimate a clip; ``height_m`` of the person where it is known. ``alone``: no fit follows, so look in a mirror
        too and calm what trembles."""
        frames = len(evidence.time_s)
        sums: dict[str, Tensor] = {}
        say, shapes = [], []
        for part, weight in faded_windows(frames):
            output, view = self._read(evidence.part(part), height_m, alone)
            for name, value in _in_camera(output, view).items():
                total = sums.setdefault(name, value.new_zeros((frames, *value.shape[1:])))
                total[part] += weight.reshape(-1, *[1] * (value.dim() - 1)) * value
            say.append(output.say[0] + weight.log())
            shapes.append(torch.cat([output.shape[0], output.stature[0]], -1))
        if alone and frames > 1:
            frames_s = float(evidence.time_s.diff().median())
            sums |= {name: calmed(sums[name], CALM_S / frames_s) for name in _POSE}
        counts = torch.softmax(torch.cat(say), 0)[:, None]
        shape = (counts * torch.cat(shapes)).sum(0).double()
        return self._joined(sums, shape)

    def _read(
        self, evidence: Evidence, height_m: float | None, twice: bool = False
    ) -> tuple[InitialOutput, StraightView]:
        """One window, B = 1."""
        view = straight_view(
            evidence.rays[None].float(),
            evidence.confidence[None].float(),
            evidence.world_m[None].float(),
            evidence.present[None],
            (evidence.time_s - evidence.time_s[0])[None].float(),
            torch.tensor([height_m or 0.0]),
        )
        time_s = (evidence.time_s - evidence.time_s[0])[None].float()
        output = self._net.read(self._net(view.features, time_s))
        if twice:
            other = self._net.read(self._net(mirrored_features(view.features), time_s))
            output = mean_output(output, mirrored_output(other, self.layout))
        return output, view

    def _joined(self, sums: dict[str, Tensor], shape: Tensor) -> Learned:
        up = functional.normalize(sums["up"].double().sum(0), dim=0)
        balls, hinges = (nearest_rotation(sums["balls"]), functional.normalize(sums["hinges"], dim=-1))
        depth = sums["depth"].double().exp()[:, None]
        stature = float(shape[-2].exp()) * STATURE_M
        return Learned(
            pose=Pose(
                sums["ray"].double() * depth,
                nearest_rotation(sums["orientation"].double()),
                self.layout.angles_of(balls.double(), hinges.double()),
            ),
            angle_sigma=sums["angle_sigma"].double().exp(),
            orientation_sigma=sums["orientation_sigma"].double().exp(),
            landmarks_m=sums["landmarks"].double(),
            landmark_sigma_m=sums["landmark_sigma"].double().exp(),
            seen_sigma=sums["seen_sigma"].double().exp() / STATURE_M,
            up=up,
            contacts=torch.sigmoid(sums["contacts"].double()),
            exchanged=torch.sigmoid(sums["exchanged"].double()),
            shape=self.shape_mean + self.shape_sigma * shape[:-2],
            stature_m=stature,
            stature_sigma=float(shape[-1]),
        )


def faded_windows(frames: int, window: int = WINDOW, overlap: int = OVERLAP) -> Iterator[tuple[slice, Tensor]]:
    """Windows that cover the clip, and the weights of their frames, which sum to one over all windows."""
    count = max(-(-(frames - overlap) // (window - overlap)), 1)
    length = min(frames, window)
    starts = [round(k * (frames - length) / max(count - 1, 1)) for k in range(count)]
    rise = (torch.arange(length) + 0.5).clamp(max=overlap / 2)
    level = torch.full((length,), overlap / 2)
    # Where the clip itself begins or ends there is nothing to fade from or to.
    ramps = [
        torch.minimum(rise if start > 0 else level, rise.flip(0) if start + length < frames else level)
        for start in starts
    ]
    total = torch.zeros(frames)
    for start, ramp in zip(starts, ramps, strict=True):
        total[start : start + length] += ramp
    for start, ramp in zip(starts, ramps, strict=True):
        part = slice(start, start + length)
        yield part, ramp / total[part]


def calmed(values: Tensor, sigma: float) -> Tensor:
    """(T, ...) under a Gaussian of ``sigma`` frames; the ends repeated."""
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).to(values)
    rows = lengthened(values.reshape(1, len(values), -1), len(kernel)).permute(2, 0, 1)
    calm = functional.conv1d(rows, kernel[None, None] / kernel.sum())
    return calm[:, 0].T.reshape(values.shape)


def _in_camera(output: InitialOutput, view: StraightView) -> dict[str, Tensor]:
    """(T, ...) quantities that can be faded from window to window: in the camera's axes, doubts as logarithms."""
    turn = view.turn[0]
    place = output.place[0]
    across = torch.cat([place[:, :2] * view.per_metre[0][:, None], torch.ones_like(place[:, :1])], -1)
    ray = (turn @ across[..., None])[..., 0]
    return {
        "balls": output.balls[0],
        "hinges": output.hinges[0],
        "orientation": turn @ output.orientation[0],
        "ray": ray / ray[:, 2:],
        "depth": place[:, 2] - view.per_metre[0].log() + ray[:, 2].log(),
        "up": (turn @ output.up[0][..., None])[..., 0],
        "contacts": output.contacts[0],
        "exchanged": output.exchanged[0],
        "angle_sigma": output.angle_sigma[0].log(),
        "orientation_sigma": output.orientation_sigma[0].log(),
        "landmarks": output.landmarks_m[0] @ turn.mT,
        "landmark_sigma": output.landmark_sigma_m[0].log(),
        "seen_sigma": output.seen_sigma_m[0].log(),
    }
