"""The numbers of the side model, fitted by ``python -m model.train.side_model``, and the costs they give."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import RuntimeSetupError

from .anatomy import RELATIONS
from .chain import STATES
from .motion import Steps

Array = NDArray[np.floating]
UNIT_S = 0.1
"""So long a mistake counts as one: a detector errs alike in neighbouring frames."""
CAUTION = 0.2
"""Of the decision, beyond what is likelier: of even chances nothing is gained, and a right frame may be spoilt."""
_SHAPES = {
    "relation_scale_m": (len(RELATIONS),), "relation_weight": (len(RELATIONS),), "step": (3, 6), "change": (8,),
    "mistake": (8,), "trust": (2,),
}  # fmt: skip


@dataclass(frozen=True)
class SideWeights:
    """Costs are negative logarithms of likelihoods."""

    relation_scale_m: Array
    """(K,) see ``anatomy.log_odds``."""
    relation_weight: Array
    """(K,)"""
    step: Array
    """(3, 6) of each group: noise (m), speed (m/s) and weight in the picture, the same in depth."""
    change: Array
    """(8,) cost of beginning or ending to mistake these groups, from one frame to the next."""
    mistake: Array
    """(8,) how far a detector is trusted not to mistake these groups; ``softplus`` of it is the cost for ``UNIT_S``."""
    trust: Array
    """(2,) what is added for a torso per unit of ``cues``."""

    @classmethod
    def load(cls, path: Path) -> SideWeights:
        """Read ``sides.npz``.

        Raises:
            RuntimeSetupError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                values = {f.name: archive[f.name].astype(np.float64) for f in fields(cls)}
            if any(values[name].shape != shape for name, shape in _SHAPES.items()):
                raise ValueError("wrong shapes")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise RuntimeSetupError(
                "weights-damaged", f"{path.name} can't be read ({error}).", "Install the add-on again."
            ) from error
        return cls(**values)

    def of_steps(self, steps: list[Steps], elapsed_s: Array, joined: NDArray[np.bool_]) -> Array:
        """(T - 1, 8) log-likelihood of every change from frame to frame; 0 across a cut.

        An exchange costs how much less likely it makes where the group's landmarks went: Cauchy distributed with a
        width that grows with the time ``elapsed_s`` (T - 1,).
        """
        exchange = np.zeros((len(elapsed_s), 3))
        for group, (step, numbers) in enumerate(zip(steps, self.step, strict=True)):
            for squared, (noise, speed, weight) in (
                (step.picture_m2, numbers[:3]),
                (step.depth_m2, numbers[3:]),
            ):
                width2 = noise**2 + (speed * elapsed_s) ** 2
                surprise = (np.log1p(squared / width2[:, None, None, None]) * step.weight[:, None, None]).sum((2, 3))
                exchange[:, group] += weight * (surprise[:, 1] - surprise[:, 0])
        return np.asarray(-(exchange @ STATES.T + self.change) * joined[:, None])

    def of_mistakes(self, cues: Array, lasting_s: Array, caution: float = 0.0) -> Array:
        """(T, 8) log-likelihood of mistaking each subset in a frame that stands for ``lasting_s`` (T,) seconds.

        Args:
            cues: (T, 2) facing of the trunk (``anatomy.facing``), ``anatomy.pelvis_width``.
            caution: what any mistake costs more for ``UNIT_S``.
        """
        torso = (cues @ self.trust)[:, None] * STATES[:, 2]
        cost = (np.logaddexp(0.0, self.mistake + torso) + caution) * np.minimum(lasting_s / UNIT_S, 1.0)[:, None]
        cost[:, 0] = 0.0
        cost[0] += self.change  # a clip that begins with a mistake is no likelier than one that comes to it
        return np.asarray(-cost)
