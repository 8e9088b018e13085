"""Motion capture for training and measuring: the CMU pack, one sequence at a time.

The data derive from the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217).  They are not
part of the project; without the folder, training and its tests say so.  Metres, Y up, the person at rest in a T-pose
facing +Z with the left side at +X and each leg spread 20 degrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import AmrError
from model.body.retarget import CAPTURE_JOINTS, CAPTURE_PARENTS

Array = NDArray[np.floating]
FILES = ("cmu_motions.npz", "cmu_motions_retargeted.npz", "cmu_motions_fbx.npz")
TEST_SUBJECTS = frozenset({"03", "13"})
"""CMU subjects on whom nothing is trained."""
MAX_FRAMES = 1_000_000
"""Of one file; the pack has a tenth of it."""


@dataclass(frozen=True)
class Sequence:
    """One captured motion of T frames, J = 32 joints in the order of ``CAPTURE_JOINTS``."""

    uid: str
    subject: str
    """CMU subject, empty where the source does not tell."""
    action: str
    group: str
    """Coarse kind of action."""
    fps: float
    offsets_m: Array
    """(J, 3) parent to joint at rest."""
    quaternions: Array
    """(T, J, 4) wxyz, local; the first joint's is the orientation in the world."""
    joints_m: Array
    """(T, J, 3) world; the first joint is the root."""
    floor_known: bool
    """The floor is flat, at y = 0."""
    feet_ok: bool
    """Ankles and toes can be trusted."""

    @property
    def split(self) -> str:
        """``test`` for the subjects who are held out, else ``train``."""
        return "test" if self.subject in TEST_SUBJECTS else "train"


def default_folder() -> Path:
    """Where a checkout has the pack: beside it, in ``shared``."""
    return Path(__file__).resolve().parents[4] / "shared" / "mocap"


def read_sequences(folder: Path | None = None, split: str | None = None) -> list[Sequence]:
    """All sequences of the pack, in its own order.

    Args:
        folder: with the three files of ``FILES``; by default ``default_folder()``.
        split: ``train`` or ``test``; None for both.

    Raises:
        AmrError: a file is missing, damaged or unlike the pack.
    """
    if split not in (None, "train", "test"):
        raise ValueError(f"split is 'train', 'test' or None, not {split!r}")
    folder = folder or default_folder()
    found = []
    for name in FILES:
        try:
            with np.load(folder / name, allow_pickle=False) as archive:
                found += list(_sequences({key: archive[key] for key in archive.files}))
        except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
            raise AmrError(
                "mocap-unreadable",
                f"The motion capture in {folder / name} can't be read ({error}).",
                "Point --mocap to the folder of the CMU pack.",
            ) from error
    return [sequence for sequence in found if split in (None, sequence.split)]


def _sequences(data: dict[str, NDArray]) -> Iterator[Sequence]:
    if tuple(data["joint_names"].tolist()) != CAPTURE_JOINTS or tuple(data["parents"].tolist()) != CAPTURE_PARENTS:
        raise ValueError("it has another skeleton")
    frames, joints = len(data["pos"]), len(CAPTURE_JOINTS)
    if frames > MAX_FRAMES or data["pos"].shape != (frames, joints, 3) or data["quat"].shape != (frames, joints, 4):
        raise ValueError("wrong shapes")
    if not (np.isfinite(data["pos"]).all() and np.isfinite(data["quat"]).all()):
        raise ValueError("numbers that are not finite")
    for i, uid in enumerate(data["uid"].tolist()):
        first, length = int(data["start"][i]), int(data["length"][i])
        if first < 0 or length < 1 or first + length > frames:
            raise ValueError(f"{uid} lies outside the file")
        part = slice(first, first + length)
        yield Sequence(
            uid,
            str(data["cmu_id"][i]).split("_")[0],
            str(data["action"][i]),
            str(data["group"][i]),
            float(data["fps"]),
            data["offsets"][data["skeleton"][i]].astype(np.float64),
            data["quat"][part].astype(np.float64),
            data["pos"][part].astype(np.float64),
            bool(data["floor_known"][i]),
            bool(data["feet_ok"][i]),
        )
