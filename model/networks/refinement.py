"""HRN, the Hierarchical Refinement Network: first the pose, then the mesh from coarse to fine.

*Pose.*  What bones can express goes into the rotations (free vertices jitter).  Each moving bone is a token: what its
skin sees, pooled by skin weights; the features where it projects; its angles; the landmarks' residuals.  Attention
among the bones and along the frames gives a small turn of each bone and a shift of the whole, in a few steps with one
set of weights, each with fresh evidence at its own estimate (as ReFit, Wang and Daniilidis, ICCV 2023).

*Mesh.*  M_l = ResNetBlock(M_(l-1), A_l): features and offsets of a level are those of the level above, unpooled, plus
what graph convolutions over neighbours (GraphSAGE; Hamilton et al., 2017) make of the fresh evidence at the vertices.
The shortcut keeps the detail that the body and the levels above have.  Offsets are in the rest pose.

*Dynamic.*  A gates every move.  From ``WORK_LEVEL`` on only vertices with A_l above a threshold are gathered at all:
an inactive one gets no evidence, no convolution, and its offset is the unpooled one exactly.  Features above and
around the active ones are unpooled where they are needed, nowhere else.

*Bounds.*  No vertex is moved by more than ``reach`` times its uncertainty, no bone by more than what moves its skin
that far.  Moves are filtered over neighbouring frames before they are gated, so that they are smooth by construction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .attention import DanSettings
from .body_map import HEAD_LEVEL, LANDMARKS, WORK_LEVEL, BodyMap
from .layers import SpaceTimeBlock, gathered, rotary
from .looking import BONE_SIGHT, RESIDUALS, SIGHT, BoneSight

_LARGEST_TURN = 0.6
"""Radians; a bone that is wrong by more needs another start."""


@dataclass(frozen=True)
class HrnSettings:
    """Size and bounds of the network.

    ``reach``: bound of the moves, in uncertainties; ``shares`` of it, for each level: what the levels add up to stays
    within it. ``most_mm``: of the vertices' in any case, small, so that they can't stand for another build.
    ``smooth_s``: standard deviation of the filter over frames. ``threshold``: of A, for a vertex to be active.
    """

    detail: int = DanSettings.detail + 1
    frame: int = DanSettings.features
    pose_width: int = 128
    pose_depth: int = 2
    pose_steps: int = 2
    heads: int = 4
    touch: int = 64
    widths: tuple[int, ...] = (96, 96, 64, 64)
    blocks: tuple[int, ...] = (2, 2, 2, 1)
    reach: float = 3.0
    shares: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    most_mm: float = 20.0
    smooth_s: float = 0.03
    threshold: float = 0.25

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Look(Protocol):
    """Fresh evidence; ``looking.Looking`` is one."""

    def bones(self, turn: Tensor, shift: Tensor) -> BoneSight:
        """Of the bones, turned by (B, T, S, 3) and shifted by (B, T, 3); what follows is about this pose."""
        ...

    def vertices(self, level: int, picture: Tensor, vertex: Tensor, offset_m: Tensor | None) -> Tensor:
        """(P, SIGHT + detail) of (P,) vertices of a level in (P,) frames, offset by (P, 3) at rest."""
        ...


@dataclass(frozen=True)
class HrnOutput:
    """The refinement of B windows of T frames."""

    turn: Tensor
    """(B, T, S, 3) rotation vectors of the moving bones, to be applied after (on the right of) their own rotations."""
    shift_m: Tensor
    """(B, T, 3)."""
    offsets_m: tuple[Tensor, ...]
    """(B, T, V_l, 3) of each level, in the rest pose; the last is of the full mesh."""
    active: tuple[int, ...]
    """Vertices times frames that each level worked on."""
    rows: tuple[int, ...]
    """Vertices times frames whose features each level held, neighbours and ancestors of active ones included."""


class PoseStage(nn.Module):
    """One step of the pose, in S tokens, from ``seen`` numbers of a vertex and ``inputs`` numbers of a bone."""

    def __init__(self, body: BodyMap, seen: int, inputs: int, settings: HrnSettings) -> None:
        super().__init__()
        width = settings.pose_width
        self._body, self._half = body, width // settings.heads // 2
        self.seen, self.inputs = seen, inputs
        self.touch = nn.Sequential(nn.Linear(seen, settings.touch), nn.GELU())
        self.embed, self.of_frame = nn.Linear(settings.touch + inputs, width), nn.Linear(RESIDUALS * LANDMARKS, width)
        self.bone = nn.Parameter(0.1 * torch.randn(len(body.parents), width))
        self.blocks = nn.ModuleList(SpaceTimeBlock(width, settings.heads) for _ in range(settings.pose_depth))
        self.last = nn.LayerNorm(width)
        self.turn, self.shift = _small(width), _small(width)

    def forward(self, seen: Tensor, bones: Tensor, frame: Tensor, time_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step.

        Args:
            seen: (B, T, V_1, F) evidence at the vertices of ``HEAD_LEVEL``. bones: (B, T, S, F') evidence at the bones.
            frame: (B, T, 33 * RESIDUALS) residuals of the landmarks. time_s: (B, T).

        Returns:
            (B, T, S, width) tokens, (B, T, S, 3) turns and (B, T, 3) shift, unbounded.
        """
        touched, _ = self._body.on_bones(self.touch(seen))
        x = self.embed(torch.cat([touched, bones], -1)) + self.of_frame(frame)[:, :, None] + self.bone
        cosine, sine = rotary(time_s, self._half)
        for block in self.blocks:
            x = block(x, cosine.to(x.dtype), sine.to(x.dtype))
        tokens = self.last(x)
        return tokens, self.turn(tokens), self.shift(tokens[:, :, 0])


class GraphBlock(nn.Module):
    """A residual block on active rows: a vertex beside the mean of its neighbours."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_own, self.norm_near = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, h: Tensor, active: Tensor, around: Tensor) -> Tensor:
        """h (R, C); active (P,) and around (P, K) are rows of it."""
        near = gathered(h, around, torch.full_like(around, 1, dtype=h.dtype) / around.shape[1])
        more = self.feed(torch.cat([self.norm_own(h[active]), self.norm_near(near)], -1))
        return h.index_add(0, active, more.to(h))


class VertexLevel(nn.Module):
    """ResNetBlock(M_(l-1), A_l) on rows."""

    def __init__(self, above: int, width: int, seen: int, blocks: int) -> None:
        super().__init__()
        self.down, self.embed = nn.Linear(above, width), nn.Linear(seen, width)
        self.blocks = nn.ModuleList(GraphBlock(width) for _ in range(blocks))
        self.last, self.move = nn.LayerNorm(width), _small(width)

    def forward(
        self, above: Tensor, parents: Tensor, weights: Tensor, seen: Tensor, active: Tensor, around: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One level.

        Args:
            above: (R', C') features of the level above. parents, weights: (R, 4) rows there that make each row here.
            seen: (P, F) evidence at the active rows. active: (P,). around: (P, K) rows of their neighbours.

        Returns:
            (R, C) features and (P, 3) moves, unbounded.
        """
        h = gathered(self.down(above).float(), parents, weights).index_add(0, active, self.embed(seen).float())
        for block in self.blocks:
            h = block(h, active, around)
        return h, self.move(self.last(h[active]))


class HRN(nn.Module):
    """See the module.

    Args:
        body: what is fixed; none of it is saved with the weights.
    """

    def __init__(self, body: BodyMap, settings: HrnSettings | None = None) -> None:
        super().__init__()
        self.body = body
        self.settings = s = settings or HrnSettings()
        if len(s.widths) != body.hierarchy.last + 1 or len(s.blocks) != len(s.widths):
            raise ValueError(f"the hierarchy has {body.hierarchy.last + 1} levels, the settings {len(s.widths)}")
        seen = SIGHT + s.detail + 2
        self.pose = PoseStage(body, seen, BONE_SIGHT + s.frame + s.detail + 3 + 2, s)
        above = (s.pose_width, *s.widths)
        self.levels = nn.ModuleList(
            VertexLevel(above[level], width, seen + 3, s.blocks[level]) for level, width in enumerate(s.widths)
        )

    def forward(
        self,
        look: Look,
        attention: Tensor,
        sigma_mm: Tensor,
        time_s: Tensor,
        threshold: float | Tensor | None = None,
        levels: int | None = None,
    ) -> HrnOutput:
        """Refine.

        Args:
            look: fresh evidence. attention: (B, T, V_2) A. sigma_mm: (B, T, V_2); no gradient goes to it.
            time_s: (B, T). threshold: instead of the settings', one or (B,); below 0 every vertex is active. levels: of
            the mesh to work on, the coarsest first; all unless it is given, 0 for the pose alone.
        """
        tree, sigma_mm = self.body.hierarchy, sigma_mm.detach()
        stages = list(self.levels)[:levels]
        finest = max(len(stages) - 1, HEAD_LEVEL)
        gates, doubts = self._levels(attention[..., None], finest), self._levels(sigma_mm[..., None], finest)
        known = [
            torch.cat([g.detach(), (d / 40.0).log()], -1).flatten(0, 1) for g, d in zip(gates, doubts, strict=True)
        ]
        tokens, turn, shift = self._posed(look, gates[HEAD_LEVEL], doubts[HEAD_LEVEL], known[HEAD_LEVEL], time_s)
        look.bones(turn, shift)

        limits = self._limits(sigma_mm, finest)
        least = self.settings.threshold if threshold is None else threshold
        if isinstance(least, Tensor):
            least = least.repeat_interleave(time_s.shape[1])[:, None]
        plan = _Plan(self.body, gates[: len(stages)], least)
        kernel = _kernel(time_s, self.settings.smooth_s)
        features = (self.body.carried(0) @ tokens).flatten(0, 2)
        offsets: list[Tensor] = []
        for level, stage in enumerate(stages):
            rows = plan.levels[level]
            above = tree.unpool(offsets[-1], level) if level else turn.new_zeros(*turn.shape[:2], tree.sizes[0], 3)
            flat = above.reshape(-1, 3)
            now = flat[rows.pairs].detach()
            seen = look.vertices(level, rows.picture, rows.vertex, now if level else None)
            seen = torch.cat([seen, known[level].reshape(-1, 2)[rows.pairs], 10.0 * now], -1)
            with self._half_in_training(seen):
                features, move = stage(features, rows.parents, rows.weights, seen, rows.active, rows.around)
            features, move = features.float(), move.float()
            move = _filtered(_squashed(move), rows.pairs, kernel, tree.sizes[level])
            bound = (self.settings.shares[level] * gates[level] * limits[level]).reshape(-1, 1)[rows.pairs]
            offsets.append(flat.index_add(0, rows.pairs, bound * move).reshape(above.shape))
        for level in range(len(stages), tree.last + 1):
            still = turn.new_zeros(*turn.shape[:2], tree.sizes[level], 3)
            offsets.append(tree.unpool(offsets[-1], level) if stages else still)
        return HrnOutput(
            turn, shift, tuple(offsets),
            tuple(len(rows.active) for rows in plan.levels), tuple(len(rows.parents) for rows in plan.levels),
        )  # fmt: skip

    def _half_in_training(self, values: Tensor) -> torch.autocast:
        """For the layers alone: geometry is always computed in single precision."""
        return torch.autocast(values.device.type, torch.bfloat16, enabled=self.training)

    def _levels(self, values: Tensor, finest: int) -> list[Tensor]:
        """(B, T, V_2, C) at ``WORK_LEVEL`` to all levels as far as ``finest``."""
        tree = self.body.hierarchy
        out = {WORK_LEVEL: values}
        for level in range(WORK_LEVEL, 0, -1):
            out[level - 1] = tree.pool(out[level], level)
        for level in range(WORK_LEVEL, finest):
            out[level + 1] = tree.unpool(out[level], level + 1)
        return [out[level] for level in range(finest + 1)]

    def _limits(self, sigma_mm: Tensor, finest: int) -> list[Tensor]:
        """(B, T, V_l, 1) metres: what is within it on one level is, unpooled, within it on the next."""
        s, tree = self.settings, self.body.hierarchy
        out = {WORK_LEVEL: (s.reach * sigma_mm / 1000.0).clamp(max=s.most_mm / 1000.0)[..., None]}
        for level in range(WORK_LEVEL, 0, -1):
            out[level - 1] = tree.least(out[level], level)
        for level in range(WORK_LEVEL, finest):
            out[level + 1] = tree.unpool(out[level], level + 1)
        return [out[level] for level in range(finest + 1)]

    def _posed(
        self, look: Look, gate: Tensor, sigma_mm: Tensor, known: Tensor, time_s: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, T, S, C), turn (B, T, S, 3) and shift (B, T, 3)."""
        s, body = self.settings, self.body
        (windows, frames), count = gate.shape[:2], body.hierarchy.sizes[HEAD_LEVEL]
        picture = torch.arange(windows * frames, device=gate.device).repeat_interleave(count)
        vertex = torch.arange(count, device=gate.device).repeat(windows * frames)
        gates, _ = body.on_bones(gate)
        doubts, _ = body.on_bones(sigma_mm)
        reach_m = s.reach * doubts / 1000.0
        limit = gates * (reach_m / body.lever_m[:, None]).clamp(max=_LARGEST_TURN)
        limit_shift = (gates * reach_m)[:, :, 0]
        kernel = _kernel(time_s, s.smooth_s)
        raw_turn, raw_shift = gate.new_zeros(windows, frames, len(body.parents), 3), gate.new_zeros(windows, frames, 3)
        turn, shift = raw_turn, raw_shift
        tokens = raw_turn
        for _ in range(s.pose_steps):
            sight = look.bones(turn, shift)
            seen = torch.cat([look.vertices(HEAD_LEVEL, picture, vertex, None), known.flatten(0, 1)], -1)
            own = torch.cat([gates.detach(), (doubts / 40.0).log()], -1)
            bones = torch.cat([sight.numbers, sight.sampled, 10.0 * turn.detach(), own], -1)
            seen = seen.reshape(windows, frames, count, -1)
            with self._half_in_training(bones):
                told = self.pose(seen, bones, sight.residual.flatten(2), time_s)
            tokens, more, further = (values.float() for values in told)
            raw_turn, raw_shift = raw_turn + more, raw_shift + further
            turn = limit * _over_time(kernel, _squashed(raw_turn))
            shift = limit_shift * _over_time(kernel, _squashed(raw_shift))
        return tokens, turn, shift


@dataclass(frozen=True)
class _Rows:
    """The rows of one level.  R rows are held, P of them active; N frames of V_l vertices."""

    picture: Tensor
    vertex: Tensor
    """(P,) of the active ones."""
    pairs: Tensor
    """(P,) their index in (N * V_l)."""
    active: Tensor
    """(P,) their rows."""
    around: Tensor
    """(P, K) rows of their neighbours."""
    parents: Tensor
    """(R, 4) rows of the level above, of each row."""
    weights: Tensor


class _Plan:
    """Who works and whose features are needed for it, from the finest level up."""

    def __init__(self, body: BodyMap, gates: list[Tensor], threshold: float | Tensor) -> None:
        tree = body.hierarchy
        flat = [gate.detach().flatten(0, 1)[..., 0] for gate in gates]
        active = [
            g > threshold if level >= WORK_LEVEL else torch.ones_like(g, dtype=torch.bool)
            for level, g in enumerate(flat)
        ]
        needed: list[Tensor] = [*active]
        for level in reversed(range(len(gates))):
            need = active[level].clone()
            picture, vertex = active[level].nonzero(as_tuple=True)
            need[picture[:, None], tree.neighbours(level)[vertex]] = True
            if level + 1 < len(gates):
                picture, vertex = needed[level + 1].nonzero(as_tuple=True)
                need[picture[:, None], tree.parents(level + 1)[0][vertex]] = True
            needed[level] = need
        self.levels: list[_Rows] = []
        above = torch.zeros(0, dtype=torch.int64)
        for level, need in enumerate(needed):
            count = tree.sizes[level]
            held = need.flatten().nonzero()[:, 0]
            row_of = torch.full((need.numel(),), -1, dtype=torch.int64, device=need.device)
            row_of[held] = torch.arange(len(held), device=need.device)
            pairs = active[level].flatten().nonzero()[:, 0]
            picture, vertex = pairs // count, pairs % count
            around = row_of[tree.neighbours(level)[vertex] + (picture * count)[:, None]]
            if level:
                parents, weights = tree.parents(level)
                own = held % count
                parents = above[parents[own] + (held // count * tree.sizes[level - 1])[:, None]]
                weights = weights[own]
            else:  # made from its bones' tokens, one for one
                parents = torch.arange(len(held), device=need.device)[:, None]
                weights = torch.ones_like(parents, dtype=gates[0].dtype)
            self.levels.append(_Rows(picture, vertex, pairs, row_of[pairs], around, parents, weights))
            above = row_of


def _small(width: int) -> nn.Linear:
    """A head that begins with hardly any move."""
    layer = nn.Linear(width, 3)
    with torch.no_grad():
        layer.weight.mul_(0.01)
        layer.bias.zero_()
    return layer


def _squashed(moves: Tensor) -> Tensor:
    """(..., 3) to vectors shorter than 1, of the same direction."""
    length = (moves.square().sum(-1, keepdim=True) + 1e-12).sqrt()
    return moves * (length.tanh() / length)


def _kernel(time_s: Tensor, smooth_s: float) -> Tensor:
    """(B, T, T) how much each frame's move counts for each."""
    return torch.exp(-0.5 * ((time_s[:, :, None] - time_s[:, None]) / smooth_s) ** 2).float()


def _over_time(kernel: Tensor, moves: Tensor) -> Tensor:
    """(B, T, ...) weighted means over the frames."""
    mixed = (kernel / kernel.sum(-1, keepdim=True)) @ moves.flatten(2)
    return mixed.reshape(moves.shape)


def _filtered(moves: Tensor, pairs: Tensor, kernel: Tensor, count: int) -> Tensor:
    """(P, 3) moves of (P,) pairs of frame and vertex, as means over the frames in which the vertex is active too."""
    windows, frames = kernel.shape[:2]
    if frames == 1:
        return moves
    table = moves.new_zeros(windows * frames * count, 4)
    table = table.index_copy(0, pairs, torch.cat([moves, torch.ones_like(moves[:, :1])], -1))
    mixed = (kernel @ table.reshape(windows, frames, -1)).reshape(-1, 4)[pairs]
    return mixed[:, :3] / mixed[:, 3:].clamp(min=1e-6)
