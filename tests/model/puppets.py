"""Initial networks that nobody has trained, with people to try their poses on."""

from __future__ import annotations

import copy
from functools import lru_cache

import torch

from model.networks.initial import InitialNet, InitialSettings
from model.networks.puppet import Puppet
from model.train.initial.data import layout, pose_space


@lru_cache(maxsize=1)
def puppet() -> Puppet:
    """Of the body at hand."""
    mean = pose_space().body.default_shape()
    return layout().puppet(mean, torch.full_like(mean, 0.1))


def initial_net(settings: InitialSettings | None = None, seed: int = 1) -> InitialNet:
    """A network that corrects what it says, though it does not know how."""
    torch.manual_seed(seed)
    net = InitialNet(settings, copy.deepcopy(puppet()))
    with torch.no_grad():
        net.again.last.weight.normal_(std=0.01)
    return net
