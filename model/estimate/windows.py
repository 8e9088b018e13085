"""Long clips in overlapping stretches, so that the memory of the fit does not grow with the clip.

What a frame's neighbours say of it fades within a few frames, so that two stretches agree deep inside their overlap;
there one is faded into the other, and no seam remains.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .evidence import Evidence
from .pose_space import Pose
from .rotation import matrix_from_rotvec, rotvec_from_matrix

WINDOW, OVERLAP = 600, 60
"""Frames."""
HOLD_S = 0.5
"""Longest gap that is bridged; in a longer one the body stands still, marked as not present."""


def windows(frames: int) -> list[slice]:
    """Stretches that cover ``frames``; neighbours share ``OVERLAP`` frames or more, short clips are one stretch."""
    if frames <= WINDOW + OVERLAP:
        return [slice(0, frames)]
    count = -(-(frames - OVERLAP) // (WINDOW - OVERLAP))
    length = OVERLAP + -(-(frames - OVERLAP) // count)
    return [slice(k * (length - OVERLAP), min(k * (length - OVERLAP) + length, frames)) for k in range(count)]


def clearest(evidence: Evidence) -> slice:
    """The stretch in which the person is seen best."""
    return max(windows(len(evidence.time_s)), key=lambda part: float(evidence.confidence[part].sum()))


def solve_in_windows(evidence: Evidence, solve: Callable[[slice], Pose]) -> Pose:
    """Solve every stretch in which the person is seen, and fade each into the next.

    Args:
        evidence: of T frames, in some of which the person is seen. solve: a stretch's pose.
    """
    pose: Pose | None = None
    for part in windows(len(evidence.time_s)):
        seen = bool(evidence.present[part].any())
        if pose is None:
            # Nobody yet: whatever stands here is overwritten by `hold`.
            pose = solve(part) if seen else _repeated(solve(clearest(evidence)), 0, part.stop)
            continue
        shared = len(pose.position) - part.start
        following = solve(part) if seen else _repeated(pose, -1, part.stop - part.start)
        pose = _faded(pose, following, shared)
    assert pose is not None
    return pose


def joined(evidence: Evidence, make: Callable[[slice], Tensor]) -> Tensor:
    """(T, ...) values made stretch by stretch: each stretch's own up to the middle of what it shares with the next."""
    out: Tensor | None = None
    for part in windows(len(evidence.time_s)):
        values = make(part)
        if out is None:
            out = values
            continue
        shared = len(out) - part.start
        out = torch.cat([out[: len(out) - shared // 2], values[shared - shared // 2 :]])
    assert out is not None
    return out


def hold(pose: Pose, evidence: Evidence) -> tuple[Pose, Tensor]:
    """Where nobody was seen for longer than ``HOLD_S``, the pose of the nearest frame in which the person was.

    Returns:
        The pose, and (T,) in which frames it is bridged: nobody was seen, but shortly before and after.
    """
    seen = torch.nonzero(evidence.present)[:, 0]
    after = torch.searchsorted(seen, torch.arange(len(evidence.present))).clamp(max=len(seen) - 1)
    before = (after - 1).clamp(min=0)
    time_s = evidence.time_s
    later = (time_s[seen[after]] - time_s).abs() <= (time_s - time_s[seen[before]]).abs()
    nearest = torch.where(later, seen[after], seen[before])
    gap_s = time_s[seen[after]] - time_s[seen[before]]
    inside = (seen[before] <= torch.arange(len(time_s))) & (torch.arange(len(time_s)) <= seen[after])
    own = evidence.present | (inside & (gap_s <= HOLD_S))
    index = torch.where(own, torch.arange(len(time_s)), nearest)
    return Pose(pose.position[index], pose.orientation[index], pose.angles[index]), own & ~evidence.present


def _repeated(pose: Pose, frame: int, count: int) -> Pose:
    index = torch.full((count,), frame % len(pose.position))
    return Pose(pose.position[index], pose.orientation[index], pose.angles[index])


def _faded(pose: Pose, following: Pose, shared: int) -> Pose:
    """``pose`` continued by ``following``, whose first ``shared`` frames are the last ones of ``pose``."""
    fade = ((torch.arange(shared, dtype=torch.float64) + 0.5) / shared)[:, None]
    fade = fade * fade * (3 - 2 * fade)
    old, new = pose.part(slice(-shared, None)), following.part(slice(0, shared))
    turn = rotvec_from_matrix(new.orientation @ old.orientation.mT)
    return Pose(
        torch.cat(
            [pose.position[:-shared], old.position + fade * (new.position - old.position), following.position[shared:]]
        ),
        torch.cat(
            [
                pose.orientation[:-shared],
                matrix_from_rotvec(fade * turn) @ old.orientation,
                following.orientation[shared:],
            ]
        ),
        torch.cat([pose.angles[:-shared], old.angles + fade * (new.angles - old.angles), following.angles[shared:]]),
    )
