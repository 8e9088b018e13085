"""What to compute on."""

from __future__ import annotations

import torch

from amr_blender.contract.errors import SettingsError


def choose_device(name: str) -> torch.device:
    """The device called ``name``: ``auto`` (the fastest there is), ``cpu``, ``cuda`` or ``mps``.

    Raises:
        SettingsError: this machine, or this torch, has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available.get(name, False):
        raise SettingsError(
            "device-missing",
            f"There is no {name.upper()} device that this torch {torch.__version__} can use.",
            "Set the device to Auto, or install a torch made for it.",
        )
    return torch.device(name)
