"""What the real detector sees of plays: ``python -m model.train.initial.detected --part train --count 3000``.

A play is drawn around its person and tracked as footage is, with fewer looks of the detector and one look of the
landmark network at each frame.  Every number gives one file with the landmarks and the truth, and, for what will look
at the pictures again, one with those in a folder beside; or a marker where the detector found nobody, or something
else.  Each is a function of its part and number.  People and motions are those of ``data``: ``Plays.person`` counts in
``crowd_of`` the part.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from amr_blender.contract.errors import PersonError
from amr_blender.contract.files import written_whole
from amr_blender.contract.spaces import project_px
from model.body.landmarks import LANDMARK_NAMES
from model.detect import Landmarks, Networks, find_people, track_landmarks
from model.detect.landmarks import OTHER_SIDE
from model.paths import assets_folder
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.picture_clips import ClipMaker, PictureClip, frame_K, frame_size
from model.synth.picture_file import save_pictures
from model.synth.splits import seeds
from model.video import Frame, Video, VideoInfo

from .data import crowd_of, pose_space, theatre

Array = NDArray[np.floating]
FRAMES = 48
FIRST = {
    "refinement": 500_000_500,
    "refinement_plain": 600_500_000,
    "train": 500_002_000,
    "train_plain": 600_000_000,
    "validation": 1_500_000_000,
    "validation_plain": 1_600_000_000,
}
"""Number of the first clip's play: not among those that are used without pictures.  The initial network is trained on
``train`` and on ``train_plain``, what good footage is like: drawn people at large are seen half as well as real ones.
The refinement learns from clips that the initial network has never seen."""
LOOKS_PER_S = 4.0
"""Of the detector; the landmark network looks at every frame."""
FEWEST_FRAMES = 12
"""With a person, for a clip to be of use."""
LOST = 0.18
"""Further from the truth, in statures and the median of a clip's frames, the detector looks at something else."""
NOBODY, SOMEBODY_ELSE = "nobody", "somebody else"
PICTURES = "pictures"
"""Folder in that of the clips."""
_JUDGED = np.arange(11, len(LANDMARK_NAMES))


@dataclass(frozen=True)
class Detected:
    """A clip of T frames."""

    landmarks: Landmarks
    """In pixels of the whole frame, whose longer side is ``FRAME_PX``."""
    play: Plays
    """N = 1."""
    shape: NDArray[np.float32]
    """(P,) of the person."""
    stature_m: float
    visible: NDArray[np.bool_]
    """(T, 33) which landmarks are seen."""

    def save(self, path: Path) -> None:
        """One archive; ``Plays.load`` reads its part."""
        arrays: dict[str, Any] = {f.name: getattr(self.play, f.name) for f in fields(Plays)}
        arrays |= {f.name: getattr(self.landmarks, f.name) for f in fields(Landmarks)}
        arrays |= {"shape": self.shape, "stature_m": self.stature_m, "visible": self.visible}
        with written_whole(path) as stream:
            np.savez_compressed(stream, **{name: np.asarray(value) for name, value in arrays.items()})

    @classmethod
    def load(cls, path: Path) -> Detected:
        with np.load(path, allow_pickle=False) as archive:
            landmarks = {f.name: archive[f.name] for f in fields(Landmarks)}
            width, height = (int(v) for v in landmarks.pop("size_px"))
            play = Plays(**{f.name: archive[f.name] for f in fields(Plays)})
            return cls(
                Landmarks(**landmarks, size_px=(width, height)),
                play,
                archive["shape"],
                float(archive["stature_m"]),
                archive["visible"],
            )


class Pictures(Video):
    """Pictures (T, H, W, 3) in memory in the place of a file; shows every ``step``-th of them."""

    def __init__(self, images: NDArray[np.uint8], fps: float, step: int = 1) -> None:
        # Not the file's own: there is none to open.
        self._pictures, self._fps, self._step = images, fps, step
        count, height, width = images.shape[:3]
        self.info = VideoInfo("pictures", width, height, fps / step, -(-count // step), 0, "", None)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for index in range(start, len(self._pictures) if stop is None else min(stop, len(self._pictures))):
            if index % self._step == 0:
                yield Frame(index, index / self._fps, self._pictures[index])


def detect(clip: PictureClip, fps: float, networks: Networks) -> Landmarks | None:
    """Landmarks of the most conspicuous person, in pixels of the pictures; None where there is nobody."""
    step = max(round(fps / LOOKS_PER_S), 1)
    try:
        people = find_people(Pictures(clip.images, fps, step), (0, None), networks, _quiet)
        return track_landmarks(Pictures(clip.images, fps), people[0], (0, None), networks, _quiet, "draft")
    except PersonError:
        return None


def _quiet(stage: str, done: int, total: int) -> None: ...


def true_px(play: Plays) -> Array:
    """(T, 33, 2) pixels of the whole frame."""
    return project_px(play.points_cam_m[0, :, : len(LANDMARK_NAMES)].astype(np.float64), frame_K(play))


def away_m(landmarks: Landmarks, play: Plays) -> Array:
    """How far the landmarks of the limbs lie from the truth on average, at the distance of the hips, in the frames
    with a person; their sides may be exchanged."""
    seen, true = landmarks.present, true_px(play)
    straight, crossed = (
        np.linalg.norm(landmarks.px[:, _JUDGED] - points[:, _JUDGED], axis=-1).mean(1)
        for points in (true, true[:, OTHER_SIDE])
    )
    per_metre = frame_K(play)[0, 0] / play.root_cam_m[0, :, 2]
    return np.asarray((np.minimum(straight, crossed) / per_metre)[seen])


class Pool:
    """Makes the files of ``folder``.

    Args:
        first: number of the first clip's play. stage, crowd: what is played, and by whom. maker: draws it.
        keep: the pictures too.
    """

    def __init__(
        self, folder: Path, first: int, stage: Theatre, crowd: Crowd, maker: ClipMaker, networks: Networks,
        frames: int = FRAMES, keep: bool = True,
    ) -> None:  # fmt: skip
        self._folder, self._first, self._stage, self._crowd, self._maker = folder, first, stage, crowd, maker
        self._networks, self._frames, self._keep = networks, frames, keep

    def file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"

    def pictures(self, number: int) -> Path:
        """What ``load_pictures`` reads."""
        return self._folder / PICTURES / f"{number:06d}.npz"

    def marker(self, number: int) -> Path:
        """Says why there is no file."""
        return self.file(number).with_suffix(".none")

    def drawn(self, number: int) -> tuple[Plays, PictureClip]:
        play = self._stage.play(self._first + number, self._frames)
        return play, self._maker.clip(play, self._shape(play), np.random.default_rng([self._first + number, 19]))

    def _shape(self, play: Plays) -> Tensor:
        return self._crowd.shape[int(play.person[0])]

    def made(self, number: int) -> tuple[Detected, PictureClip] | str:
        """Clip ``number`` and its pictures, or why it is of no use."""
        play, clip = self.drawn(number)
        landmarks = detect(clip, float(play.fps[0]), self._networks)
        if landmarks is None or landmarks.present.sum() < min(FEWEST_FRAMES, self._frames):
            return NOBODY
        px = clip.in_frame(landmarks.px).astype(np.float32)
        landmarks = replace(landmarks, px=px, size_px=frame_size(play))
        stature_m = float(self._crowd.stature_m[int(play.person[0])])
        if np.median(away_m(landmarks, play)) > LOST * stature_m:
            return SOMEBODY_ELSE
        return Detected(landmarks, play, self._shape(play).numpy(), stature_m, clip.visible), clip

    def make(self, number: int) -> None:
        """Write clip ``number`` unless it, or its marker, is there."""
        if self.file(number).is_file() or self.marker(number).is_file():
            return
        found = self.made(number)
        if not isinstance(found, str):
            detected, clip = found
            if self._keep:
                save_pictures(self.pictures(number), clip)
            detected.save(self.file(number))  # last: where it is, the pictures are
            return
        with written_whole(self.marker(number)) as stream:
            stream.write(found.encode())


def folder_of(part: str, pools: Path) -> Path:
    """Of a part's clips in the folder of all pools."""
    return pools / f"detected_{part}"


def clips_of(part: str, pools: Path) -> list[Path]:
    """A part's clips that are made."""
    return sorted(folder_of(part, pools).glob("[0-9]*.npz"))


def pool(part: str, pools: Path, plays: Path) -> Pool:
    """Of the people, motions and poses of a part of ``data``; ``plays`` is the folder where those are kept."""
    space, networks = pose_space(), Networks.load(assets_folder(), torch.device("cpu"))
    people = "validation" if part.startswith("validation") else "train"
    plain = part.endswith("plain")
    stage, crowd = theatre(people, plays, plain), crowd_of(space, people)
    maker = ClipMaker(space, seeds("train"), plain=plain)
    keep = not part.startswith("train")
    return Pool(folder_of(part, pools), FIRST[part], stage, crowd, maker, networks, keep=keep)


def main() -> None:
    """Make what is missing of a range of numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder of the parts' folders")
    parser.add_argument("--part", choices=list(FIRST), default="train", help="what they are for")
    parser.add_argument("--plays", type=Path, default=Path("build/initial"), help="where the drawn poses are kept")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stride", type=int, default=1, help="from one number to the next")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made = pool(arguments.part, arguments.out, arguments.plays)
    first, stride = arguments.first, arguments.stride
    for number in tqdm(range(first, first + arguments.count * stride, stride), desc="drawing clips", disable=None):
        made.make(number)


if __name__ == "__main__":
    main()
