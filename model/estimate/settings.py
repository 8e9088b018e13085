"""What the fit trusts, and how much."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FitSettings:
    """Standard deviations of what the fit weighs against each other."""

    reprojection: float = 0.011
    """Of a landmark, in statures."""
    reprojection_reach: float = 2.0
    """In standard deviations, where the Cauchy loss starts to doubt a landmark."""
    relative_m: float = 0.8
    """Of BlazePose's depth about the hips: weak, for it is flat; it says which way a limb points, not how far."""
    start_m: float = 0.12
    """Of BlazePose's relative 3D where the fit begins."""
    relative_reach: float = 1.0
    """In standard deviations, as above."""
    prior_strength: float = 0.02
    """Share of a frame's pose prior that counts where no network tells: neighbouring frames hold nearly the same
    pose."""
    spread_strength: float = 1.0
    """Of each angle's own usual spread, which holds what the prior knows little of."""
    learned_strength: float = 0.3
    """Share of a frame for which what the network says counts: it errs alike in neighbouring frames."""
    learned_heading_strength: float = 0.1
    """The same for the hips' orientation, whose errors are alike through a whole clip."""
    learned_reach: float = 2.0
    """In standard deviations, where the network is doubted."""
    learned_spread_strength: float = 0.2
    """As ``spread_strength``, where a network tells which pose is likely."""
    position_acceleration: float = 6.0
    """m/s^2; of the hips."""
    orientation_acceleration: float = 40.0
    """rad/s^2; of the hips."""
    angle_acceleration: float = 55.0
    """rad/s^2 per prior sigma of an angle: what moves far may move fast."""
    acceleration_reach: float = 2.0
    """In standard deviations, where an acceleration is believed to be real rather than noise."""
    position_speed: float = 4.0
    """m/s; weak, keeps gaps from being bridged by a throw."""
    angle_speed: float = 12.0
    """rad/s per prior sigma."""
    contact_speed: float = 0.08
    """m/s; of what rests."""
    contact_speed_reach: float = 12.0
    """In standard deviations, where a contact is doubted because the point moves."""
    contact_height_m: float = 0.02
    """Of what rests on the ground, over it."""
    contact_height_reach: float = 6.0
    """In standard deviations, as above."""
    sink_m: float = 0.01
    """Below the ground."""
    support_m: float = 0.05
    """How far beyond the points that carry the centre of pressure may lie."""
    support_reach: float = 1.5
    """In standard deviations, where it is believed that something unseen carries."""
    flight_m_s2: float = 2.0
    """Of the acceleration in flight from gravity's."""
    limit: float = 0.05
    """rad beyond an angle's limit."""
    shape_frames: float = 3.0
    """What a clip of any length tells of shape and lens, in independent frames: a detector errs alike in neighbours."""
    iterations: int = 12
