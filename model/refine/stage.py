"""The refinement as a stage of the product: weights, footage and budget together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.errors import VideoError
from model.body.hierarchy import Hierarchy
from model.estimate.pose_space import PoseSpace
from model.estimate.refined import Refined
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import FRAME_PX
from model.paths import WEIGHTS
from model.video import Frame

from .budget import Budget
from .clip import Clip
from .crops import cut
from .eye import Eye
from .refiner import Refiner

if TYPE_CHECKING:
    from model.estimate import Solved


class Refinement:
    """Refines what was estimated from some footage (see ``model.estimate.refined.Refine``).

    Args:
        assets: folder of the body's hierarchy and the pretrained trunk. frames: gives the footage's frames anew.
        quality: not ``draft``. weights: folder of the networks' weights. uniform: as of :class:`Refiner`. refiner: made
            from a body map to take in the place of the one that is shipped.
    """

    def __init__(
        self,
        assets: Path,
        frames: Callable[[], Iterator[Frame]],
        quality: str,
        device: torch.device | str = "cpu",
        weights: Path = WEIGHTS,
        uniform: bool = False,
        refiner: Callable[[BodyMap], Refiner] | None = None,
    ) -> None:
        self._assets, self._frames, self._budget = assets, frames, Budget.of(quality)
        self._device, self._weights, self._uniform, self._refiner = device, weights, uniform, refiner

    def __call__(self, space: PoseSpace, found: Solved, tell: Callable[[int, int], None]) -> Refined:
        """Refine; ``tell`` receives (done, total) frames.

        Raises:
            RuntimeSetupError: weights or assets can't be used. VideoError: the footage can't be read again.
        """
        tell(0, len(found.evidence.time_s))
        body = BodyMap(space.body, space.skeleton, Hierarchy.load(self._assets))
        if self._refiner is None:
            kinematics = space.body.kinematics
            refiner = Refiner.load(self._weights, body, kinematics, self._device, self._uniform)
        else:
            refiner = self._refiner(body)
        clip = Clip(space, found)
        numbers = found.sides.landmarks.frames.tolist()
        eye = Eye.load(self._assets, self._device)
        return refiner(clip, eye.glimpses(self._pictures(clip, numbers)), self._budget, tell)

    def _pictures(self, clip: Clip, numbers: list[int]) -> Iterator[NDArray[np.uint8]]:
        """(256, 256, 3) of the frames of these numbers; black where nobody is."""
        crops, cameras, present, found = clip.crop_K.numpy(), clip.frame_K, clip.present.tolist(), 0
        for frame in self._frames():
            if found < len(numbers) and frame.index == numbers[found]:
                black = np.zeros((FRAME_PX, FRAME_PX, 3), np.uint8)
                yield cut(frame.rgb, cameras[found], crops[found]) if present[found] else black
                found += 1
        if found < len(numbers):
            raise VideoError(
                "video-changed",
                f"The footage has no frame {numbers[found]} any more.",
                "Reconstruct again, and leave the file alone meanwhile.",
            )
