"""What trains the networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def muon_and_adamw(
    net: nn.Module, rate: float, within: Callable[[str], bool], weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al., 2024) for the matrices within, which learn about twice as fast by it; AdamW for the rest.

    Args:
        within: whether a parameter of that name, if it is a matrix, is one of those.
    """
    inner = {id(p): p for name, p in net.named_parameters() if p.dim() == 2 and within(name)}
    rest = [p for p in net.parameters() if id(p) not in inner]
    return [
        torch.optim.Muon(inner.values(), rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, rate, betas=(0.9, 0.98), weight_decay=weight_decay),
    ]
