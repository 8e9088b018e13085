"""Weights of our networks on disk: safetensors in half precision, with what one must know to use them in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from amr_blender.contract.errors import RuntimeSetupError
from amr_blender.contract.files import written_whole

MAX_BYTES = 15_000_000


def save_weights(path: Path, net: nn.Module, about: dict[str, Any]) -> None:
    """Write the weights, whole or not at all; ``about`` goes into the header as JSON."""
    state = {name: value.detach().half().cpu().contiguous() for name, value in net.state_dict().items()}
    with written_whole(path) as stream:
        stream.write(save(state, {"about": json.dumps(about)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors in single precision, and what the header says of them.

    Raises:
        RuntimeSetupError: the file is missing, damaged or too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        with safe_open(path, framework="pt") as archive:
            about = json.loads((archive.metadata() or {})["about"])
            return {name: archive.get_tensor(name).float() for name in archive.keys()}, about  # noqa: SIM118
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RuntimeSetupError(
            "weights-damaged", f"{path.name} can't be read ({error}).", "Install the add-on again."
        ) from error
