"""What the refinement learns from: detected clips, estimated and cut out as the product does it.

``python -m model.train.refine.stock`` takes the clips of ``model.train.initial.detected`` one by one: it estimates them
as the product does with this commit's network and fit, and keeps what DAN and HRN are given beside the truth.  A clip's
file is a function of the clip and of the estimate.

The initial network must not have been trained on these clips: it knows its own by heart, and what is wrong with them
then is nothing like what will be wrong with others.  So they are a part of their own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from amr_blender.contract.errors import AmrError
from amr_blender.contract.files import written_whole
from amr_blender.contract.job import Job
from model.body.hands import relaxed_fingers
from model.estimate import Plan, solved
from model.estimate.pose_space import Pose, PoseSpace
from model.estimate.refined import all_rotations
from model.paths import assets_folder
from model.refine.clip import Clip
from model.refine.crops import cut
from model.refine.eye import Eye
from model.synth.picture_clips import PictureClip, frame_K
from model.synth.picture_file import load_pictures
from model.video import VideoInfo

from ..initial.data import pose_space
from ..initial.detected import FIRST, PICTURES, Detected, folder_of

KNOWN_LENS = 0.3
"""Share of the clips whose focal length the estimate is told."""
MASK_PX = 32
FEATURE_STEP = 1 / 16
_CANNOT = ".none"
PARTS = {"refinement": ("refinement", "refinement_plain"), "validation": ("validation", "validation_plain")}
"""What is learned from and what is held out, by the parts of the detected clips."""


@dataclass(frozen=True)
class Footage:
    """One clip of T frames as the refinement sees it, and the truth; arrays as they are stored."""

    features: NDArray[np.uint8]
    """(T, FRAME_CHANNELS, 32, 32) in units of ``FEATURE_STEP``."""
    crop_K: NDArray[np.float32]
    """(T, 3, 3)."""
    landmarks: NDArray[np.float32]
    """(T, 33, 2) crop units, sides repaired."""
    confidence: NDArray[np.float32]
    """(T, 33)."""
    present: NDArray[np.bool_]
    """(T,)."""
    time_s: NDArray[np.float32]
    """(T,)."""
    local: NDArray[np.float32]
    """(T, J, 3, 3) of the estimate."""
    root_cam_m: NDArray[np.float32]
    """(T, 3)."""
    shape: NDArray[np.float32]
    """(P,)."""
    lifted_m: NDArray[np.float32]
    """(T, 2, 33, 3)."""
    sigma_m: NDArray[np.float32]
    """(T, 33) the initial network's doubt."""
    true_local: NDArray[np.float32]
    """(T, J, 3, 3)."""
    true_root_cam_m: NDArray[np.float32]
    """(T, 3)."""
    true_shape: NDArray[np.float32]
    """(P,)."""
    true_focal: np.float32
    """Against the estimate's focal length."""
    mask: NDArray[np.uint8]
    """(T, 32, 32) how much of each cell the person covers, 0..255, whatever stands before them."""

    def save(self, path: Path) -> None:
        with written_whole(path) as stream:
            np.savez(stream, **{f.name: np.asarray(getattr(self, f.name)) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Footage:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {f.name: archive[f.name] for f in fields(cls)}
        return cls(**{**arrays, "true_focal": np.float32(arrays["true_focal"])})


class Stock:
    """Makes the files.

    Args:
        clips: folder of the detected clips. folder: of the files. first: number of the first clip's play.
    """

    def __init__(self, clips: Path, folder: Path, first: int) -> None:
        self._clips, self._folder, self._first = clips, folder, first
        self._space: PoseSpace = pose_space()
        self._eye = Eye.load(assets_folder())

    def numbers(self) -> list[int]:
        """The clips that there are to learn from."""
        return [int(path.stem) for path in sorted(self._clips.glob("[0-9]*.npz"))]

    def make(self, number: int) -> None:
        """Write the file of a clip, or a marker that says why there is none."""
        path = self._folder / f"{number:06d}.npz"
        if path.is_file() or path.with_suffix(_CANNOT).is_file():
            return
        name = f"{number:06d}.npz"
        clip, pictures = Detected.load(self._clips / name), load_pictures(self._clips / PICTURES / name)
        try:
            self.footage(clip, pictures, number).save(path)
        except AmrError as error:
            with written_whole(path.with_suffix(_CANNOT)) as stream:
                stream.write(str(error).encode())

    def footage(self, clip: Detected, pictures: PictureClip, number: int) -> Footage:
        """Estimate a clip and cut it out.

        Raises:
            AmrError: it can't be estimated.
        """
        space, play = self._space, clip.play
        true_K, (width, height) = frame_K(play), clip.landmarks.size_px
        told = np.random.default_rng([self._first + number, 20]).random() < KNOWN_LENS
        job = Job("drawn", "drawn", focal_px=float(true_K[0, 0]) if told else None)
        found = solved(clip.landmarks, space, _info(clip, width, height), job, Plan.of("standard"))
        estimate = Clip(space, found)
        picture_K = estimate.picture_K.copy()
        picture_K[:2, 2] -= pictures.corner_px
        picture_K[:2] /= pictures.scale
        crops = estimate.crop_K.double().numpy()
        rgb = np.stack([cut(image, picture_K, crop) for image, crop in zip(pictures.images, crops, strict=True)])
        features = (self._eye.features(rgb).float() / FEATURE_STEP).round().clamp(0, 255)
        masks = [_mask(mask, picture_K, crop) for mask, crop in zip(pictures.silhouette, crops, strict=True)]
        truth = Pose(*(torch.from_numpy(a[0]).double() for a in (play.root_cam_m, play.orientation, play.angles)))
        kept = {name: value.numpy() for name, value in estimate.frames(slice(None)).items()}
        return Footage(
            features=features.to(torch.uint8).numpy(),
            **kept,
            shape=found.solution.shape.numpy().astype(np.float32),
            true_local=all_rotations(space, truth, relaxed_fingers(space.body)).numpy().astype(np.float32),
            true_root_cam_m=play.root_cam_m[0],
            true_shape=clip.shape,
            true_focal=np.float32(true_K[0, 0] / estimate.picture_K[0, 0]),
            mask=np.stack(masks),
        )


def footage_of(use: str, folder: Path) -> list[Path]:
    """What there is of the parts of ``use`` in the stock's folder."""
    return [path for part in PARTS[use] for path in sorted((folder / part).glob("[0-9]*.npz"))]


def _info(clip: Detected, width: int, height: int) -> VideoInfo:
    frames = len(clip.landmarks.frames)
    return VideoInfo("drawn", width, height, float(clip.play.fps[0]), frames, 0, "", None)


def _mask(mask: NDArray[np.bool_], picture_K: NDArray[np.floating], crop_K: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(32, 32) coverage."""
    grey = np.repeat((255 * mask).astype(np.uint8)[..., None], 3, -1)
    fine = cut(grey, picture_K, crop_K)[..., 0]
    return np.asarray(cv2.resize(fine, (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/refine"))
    parser.add_argument("--pools", type=Path, default=Path("build"), help="where the detected clips' folders are")
    parser.add_argument("--part", choices=sum(PARTS.values(), ()), default="refinement")
    parser.add_argument("--most", type=int, default=1_000_000, help="clips")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    part = arguments.part
    stock = Stock(folder_of(part, arguments.pools), arguments.out / part, FIRST[part])
    for number in tqdm(stock.numbers()[: arguments.most], desc="clips", disable=None):
        stock.make(number)


if __name__ == "__main__":
    main()
