"""DAN, the Dynamic Attention Network: where on the body another look pays, and how wrong the estimate may be.

A convolutional network reads the frame, another the estimated mesh as drawn (``evidence_maps``).  The frame's is
pretrained below: BlazePose's trunk, trained on more real people than can be drawn, gives features that mean the same in
drawn and in real footage; a few layers on top are trained here, beside the landmarks as pictures.  A light transformer,
factorised over the cells of a frame and over the frames of a window (rotary positions in seconds, as in ``initial``),
lets both see each other and the motion.  Then, per cell,

    A = sigmoid(W1 F_mesh + W2 F_frame + b).

A vertex that is seen gets the value of the mask where it projects.  A vertex that isn't must not: there the mask is
about the surface in front.  Its weight comes from a small head that reads what is known of it: the features of its
bones, pooled over their seen vertices, what share of them is seen, what bone it is on, what there is to hold against
the nearest landmarks and all of them (``HINTS``; of all signs these go best with the error from frame to frame), and
what the frame as a whole looks like.  The same head gives the uncertainty of every vertex, seen or not, beside what is
usual for it.

What each is supervised by, and why attention is no copy of uncertainty:

- *Uncertainty* is the expected error that REMAINS: by the negative log likelihood of the vertex's true error after
  refinement (Laplace, scale ``sigma_mm``; Kendall and Gal, 2017), and by its correlation with that error over a clip's
  frames, vertex by vertex; then calibrated on held-out clips by a scale and a power.  It is high on a limb that nobody
  can see.
- *Attention* is where another look PAYS: it gates the refinement (every move is multiplied by A), so the refined error
  plus a price for every vertex's A trains it; beside that, directly, the cross entropy to whether refinement with A = 1
  makes a vertex's error smaller by more than the price.  It is low on a limb that nobody can see, where looking again
  finds nothing, and high where the evidence contradicts the estimate, also when the network is sure what is right.
- The *silhouette*, a by-product, by the made footage's masks: it gives the refinement an edge to compare with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .body_map import HEAD_LEVEL, LANDMARKS, WORK_LEVEL, BodyMap
from .evidence_maps import FRAME_CHANNELS, MESH_CHANNELS, SIGN_CHANNELS
from .layers import ResBlock, SpaceTimeBlock, as_rows, corners, gathered, halving, rotary

CELLS = 16
"""Sides of the feature maps and of the mask."""
HINTS = 5
"""Numbers of a landmark, each about one: how much the initial network doubts it, how far the estimate has it from where
the detector and from where that network has it, and how far it is from where the detector sees it in the picture
(logarithms all); how sure the detector is of it."""
_FEATURE_SCALE = 0.25
USUAL_MM = 40.0
"""Scale of the uncertainty before anything is known; ``DAN.usual`` are the logarithms of the vertices' own, by it."""
SIGMA_MM = (1.0, 1000.0)


@dataclass(frozen=True)
class DanSettings:
    """Size of the network.  ``fine``: channels of the finer stage, ``features``: of F_frame and F_mesh, ``residual``
    blocks in each stage; ``width`` and ``depth`` of the transformer, ``head`` of what is said of vertices, ``hint`` of
    what is known of a landmark."""

    fine: int = 64
    features: int = 64
    residual: int = 1
    detail: int = 32
    width: int = 192
    depth: int = 3
    heads: int = 4
    head: int = 96
    hint: int = 48

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class DanInput:
    """B windows of T frames, V_2 vertices of ``WORK_LEVEL``."""

    features: Tensor
    """(B, T, FRAME_CHANNELS, 32, 32) the pretrained features of the crop."""
    signs: Tensor
    """(B, T, SIGN_CHANNELS, 32, 32) of ``landmark_maps``."""
    mesh: Tensor
    """(B, T, MESH_CHANNELS, 64, 64) of ``MeshDrawer``."""
    where: Tensor
    """(B, T, V_2, 2) crop units."""
    visible: Tensor
    """(B, T, V_2) bool."""
    hints: Tensor
    """(B, T, 33, HINTS), 0 where nobody is seen."""
    time_s: Tensor
    """(B, T)."""


@dataclass(frozen=True)
class DanOutput:
    """What the network says."""

    mask_logit: Tensor
    """(B, T, 16, 16) of A on the cells."""
    vertex_logit: Tensor
    """(B, T, V_2) of A on the vertices."""
    sigma_mm: Tensor
    """(B, T, V_2) scale of the error that remains."""
    silhouette: Tensor
    """(B, T, 32, 32) logits that the person is there."""
    frame: Tensor
    """(B, T, features, 16, 16) F_frame, after the transformer."""
    detail: Tensor
    """(B, T, detail + 1, 32, 32) what the refinement samples: finer features, and the silhouette's logit."""

    @property
    def mask(self) -> Tensor:
        """(B, T, 256, 256) A over the frame's crop."""
        return functional.interpolate(self.mask_logit.sigmoid(), scale_factor=16, mode="bilinear")

    @property
    def attention(self) -> Tensor:
        """(B, T, V_2) A, 0..1."""
        return self.vertex_logit.sigmoid()


class FrameNet(nn.Module):
    """(N, FRAME_CHANNELS, 32, 32) pretrained features and (N, SIGN_CHANNELS, 32, 32) to (N, fine, 32, 32) and
    (N, features, 16, 16)."""

    def __init__(self, fine: int, features: int, residual: int) -> None:
        super().__init__()
        self.known, self.signs = nn.Conv2d(FRAME_CHANNELS, fine, 1), nn.Conv2d(SIGN_CHANNELS, fine, 3, padding=1)
        self.middle = nn.Sequential(*(ResBlock(fine) for _ in range(residual)))
        self.coarse = nn.Sequential(halving(fine, features), *(ResBlock(features) for _ in range(residual)))

    def forward(self, known: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.middle(self.known(_FEATURE_SCALE * known) + self.signs(signs))
        return fine, self.coarse(fine)


class MeshNet(nn.Sequential):
    """(N, MESH_CHANNELS, 64, 64) to (N, features, 16, 16)."""

    def __init__(self, fine: int, features: int) -> None:
        super().__init__(halving(MESH_CHANNELS, fine), nn.ReLU(), halving(fine, features), ResBlock(features))


class DAN(nn.Module):
    """See the module.  Any number of frames, one included.

    Args:
        body: what is fixed; none of it is saved with the weights.
    """

    def __init__(self, body: BodyMap, settings: DanSettings | None = None) -> None:
        super().__init__()
        self.body = body
        self.settings = s = settings or DanSettings()
        self.frame_net, self.mesh_net = FrameNet(s.fine, s.features, s.residual), MeshNet(s.fine, s.features)
        self.tokens = halving(2 * s.features, s.width)
        self.place = nn.Parameter(0.02 * torch.randn((CELLS // 2) ** 2, s.width))
        self.blocks = nn.ModuleList(SpaceTimeBlock(s.width, s.heads) for _ in range(s.depth))
        self.last = nn.LayerNorm(s.width)
        self.to_frame, self.to_mesh = nn.Linear(s.width, s.features), nn.Linear(s.width, s.features)
        self.w1, self.w2 = nn.Conv2d(s.features, 1, 1, bias=False), nn.Conv2d(s.features, 1, 1, bias=False)
        self.b = nn.Parameter(torch.zeros(()))
        self.lateral, self.from_coarse = nn.Conv2d(s.fine, s.detail, 1), nn.Conv2d(s.features, s.detail, 1)
        self.detail = nn.Conv2d(s.detail, s.detail, 3, padding=1)
        self.silhouette = nn.Conv2d(s.detail, 1, 1)
        self.cells = nn.Conv2d(2 * s.features, s.features, 1)
        self.bone = nn.Parameter(0.1 * torch.randn(len(body.parents), 16))
        self.usual = nn.Parameter(torch.zeros(body.hierarchy.sizes[WORK_LEVEL]))
        self.overview, self.hints = nn.Linear(s.width, s.head), nn.Linear(HINTS * LANDMARKS, s.head)
        self.hint = nn.Linear(HINTS, s.hint)
        self.landmark = nn.Parameter(0.1 * torch.randn(LANDMARKS, s.hint))
        self.head = nn.Sequential(nn.Linear(2 * s.features + 16 + 2 + s.hint, s.head), nn.GELU(), nn.Linear(s.head, 2))

    def forward(self, given: DanInput) -> DanOutput:
        batch, frames = given.time_s.shape
        fine, frame = self.frame_net(given.features.flatten(0, 1), given.signs.flatten(0, 1))
        mesh = self.mesh_net(given.mesh.flatten(0, 1))
        told = self._told(frame, mesh, given.time_s)
        frame, mesh = (
            local + functional.interpolate(to(told).permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear")
            for local, to in ((frame, self.to_frame), (mesh, self.to_mesh))
        )
        mask = self.w1(mesh) + self.w2(frame) + self.b
        coarse = functional.interpolate(self.from_coarse(frame), scale_factor=2.0, mode="bilinear")
        detail = functional.relu(self.detail(functional.relu(self.lateral(fine) + coarse)))
        silhouette = self.silhouette(detail)
        cells = self.cells(torch.cat([frame, mesh], 1))
        logit, sigma_mm = self._vertices(mask, cells, told.mean((1, 2)), given)
        shape = (batch, frames)
        return DanOutput(
            mask_logit=mask[:, 0].unflatten(0, shape),
            vertex_logit=logit,
            sigma_mm=sigma_mm,
            silhouette=silhouette[:, 0].unflatten(0, shape),
            frame=frame.unflatten(0, shape),
            detail=torch.cat([detail, silhouette], 1).unflatten(0, shape),
        )

    def _told(self, frame: Tensor, mesh: Tensor, time_s: Tensor) -> Tensor:
        """(N, features, 16, 16) each to (N, 8, 8, width): every cell knows of the others and of its past and future."""
        batch, frames = time_s.shape
        x = self.tokens(torch.cat([frame, mesh], 1)).flatten(2).transpose(1, 2).unflatten(0, (batch, frames))
        x = x + self.place
        cosine, sine = rotary(time_s, self.settings.width // self.settings.heads // 2)
        for block in self.blocks:
            x = block(x, cosine.to(x.dtype), sine.to(x.dtype))
        told: Tensor = self.last(x).flatten(0, 1).unflatten(1, (CELLS // 2, CELLS // 2))
        return told

    def _vertices(self, mask: Tensor, cells: Tensor, whole: Tensor, given: DanInput) -> tuple[Tensor, Tensor]:
        """(B, T, V_2) attention's logits and uncertainty; ``whole`` (N, width) of the frames."""
        batch, frames, count, _ = given.where.shape
        size = (CELLS, CELLS)
        picture = torch.arange(batch * frames, device=mask.device)
        rows, weights = corners(given.where.reshape(-1, 2), picture.repeat_interleave(count), size)
        sampled = gathered(as_rows(mask), rows, weights).reshape(batch, frames, count)
        coarse = self.body.hierarchy.sizes[HEAD_LEVEL]  # its vertices are the first of WORK_LEVEL's
        where = given.where[:, :, :coarse].reshape(-1, 2)
        rows, weights = corners(where, picture.repeat_interleave(coarse), size)
        seen = given.visible[:, :, :coarse, None].to(cells)
        own = seen * gathered(as_rows(cells), rows, weights).reshape(batch, frames, coarse, -1)
        of_bone, share = self.body.on_bones(own, seen[..., 0])
        bone = self.bone.expand(batch, frames, -1, -1)
        carried = self.body.carried(HEAD_LEVEL) @ torch.cat([of_bone, share[..., None], bone], -1)
        near = self.body.from_landmarks(functional.gelu(self.hint(given.hints)) + self.landmark, HEAD_LEVEL)
        first, rest = self.head[0], self.head[1:]
        frame = self.overview(whole).unflatten(0, (batch, frames)) + self.hints(given.hints.flatten(-2))
        raw = rest(first(torch.cat([own, seen, carried, near], -1)) + frame[:, :, None])
        raw = self.body.hierarchy.unpool(raw, WORK_LEVEL).float()
        sigma_mm = (USUAL_MM * (raw[..., 1] + self.usual).clamp(-8, 8).exp()).clamp(*SIGMA_MM)
        return torch.where(given.visible, sampled, raw[..., 0]), sigma_mm
