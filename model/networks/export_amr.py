"""DAN and HRN as ONNX.

DAN is one file.  HRN looks at fresh evidence between its stages, which is the caller's to fetch, so each stage is a
file: the pose's step and one per level of the mesh, on gathered rows of any number.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from .attention import DAN, HINTS, DanInput, DanOutput
from .body_map import HEAD_LEVEL, LANDMARKS, WORK_LEVEL
from .evidence_maps import FRAME_CHANNELS, MESH_CHANNELS, MESH_PX, SIGN_CHANNELS, SIGNS_PX
from .export import write_onnx
from .looking import RESIDUALS
from .refinement import HRN, VertexLevel

DAN_INPUTS = tuple(f.name for f in fields(DanInput))
DAN_OUTPUTS = tuple(f.name for f in fields(DanOutput))
POSE_INPUTS, POSE_OUTPUTS = ("seen", "bones", "frame", "time_s"), ("tokens", "turn", "shift")
LEVEL_INPUTS, LEVEL_OUTPUTS = ("above", "parents", "weights", "seen", "active", "around"), ("features", "move")


class _Plain(nn.Module):
    """DAN without its records."""

    def __init__(self, net: DAN) -> None:
        super().__init__()
        self.net = net

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        output = self.net(DanInput(*given))
        return tuple(getattr(output, name) for name in DAN_OUTPUTS)


def export_attention(net: DAN, path: Path) -> None:
    """Write DAN; inputs and outputs are those of ``DanInput`` and ``DanOutput``, by name, any batch, any frames."""
    device, shape, count = next(net.parameters()).device, (2, 3), net.body.hierarchy.sizes[WORK_LEVEL]
    example = (
        torch.zeros(*shape, FRAME_CHANNELS, SIGNS_PX, SIGNS_PX, device=device),
        torch.zeros(*shape, SIGN_CHANNELS, SIGNS_PX, SIGNS_PX, device=device),
        torch.zeros(*shape, MESH_CHANNELS, MESH_PX, MESH_PX, device=device),
        torch.full((*shape, count, 2), 0.5, device=device),
        torch.ones(*shape, count, dtype=torch.bool, device=device),
        torch.zeros(*shape, LANDMARKS, HINTS, device=device),
        torch.zeros(*shape, device=device),
    )
    sizes = {name: {0: "batch", 1: "frames"} for name in (*DAN_INPUTS, *DAN_OUTPUTS)}
    write_onnx(_Plain(net), example, DAN_INPUTS, DAN_OUTPUTS, sizes, path)


def export_refinement(net: HRN, folder: Path) -> list[Path]:
    """Write HRN's stages, ``refinement_pose.onnx`` and ``refinement_level_L.onnx``, as ``PoseStage.forward`` and
    ``VertexLevel.forward`` take and give them; returns their paths."""
    device, shape = next(net.parameters()).device, (2, 3)
    example = (
        torch.zeros(*shape, net.body.hierarchy.sizes[HEAD_LEVEL], net.pose.seen, device=device),
        torch.zeros(*shape, len(net.body.parents), net.pose.inputs, device=device),
        torch.zeros(*shape, RESIDUALS * LANDMARKS, device=device),
        torch.zeros(*shape, device=device),
    )
    sizes = {name: {0: "batch", 1: "frames"} for name in (*POSE_INPUTS, *POSE_OUTPUTS)}
    paths = [folder / "refinement_pose.onnx"]
    write_onnx(net.pose, example, POSE_INPUTS, POSE_OUTPUTS, sizes, paths[0])
    for level, stage in enumerate(net.levels):
        assert isinstance(stage, VertexLevel)
        paths.append(folder / f"refinement_level_{level}.onnx")
        _export_level(stage, 4 if level else 1, net.body.hierarchy.neighbours(level).shape[1], device, paths[-1])
    return paths


def _export_level(stage: VertexLevel, parents: int, around: int, device: torch.device, path: Path) -> None:
    above, held, active = 6, 7, 5
    example = (
        torch.zeros(above, stage.down.in_features, device=device),
        torch.arange(held, device=device)[:, None].expand(-1, parents) % above,
        torch.full((held, parents), 1.0 / parents, device=device),
        torch.zeros(active, stage.embed.in_features, device=device),
        torch.arange(active, device=device),
        torch.arange(active, device=device)[:, None].expand(-1, around) % held,
    )
    sizes = {"above": {0: "above"}, "move": {0: "active"}}
    sizes |= {name: {0: "held"} for name in ("parents", "weights", "features")}
    sizes |= {name: {0: "active"} for name in ("seen", "active", "around")}
    write_onnx(stage, example, LEVEL_INPUTS, LEVEL_OUTPUTS, sizes, path)
