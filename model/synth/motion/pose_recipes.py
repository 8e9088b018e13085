"""How people sit, kneel, lie, crawl, balance and squat, and where they put their hands: ranges to draw poses from.

Degrees and metres, in an animator's terms (see ``limbs``).  ``enrich`` draws from them.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Leg:
    """One leg; ``flex`` counts from hanging along gravity, or along the trunk where the recipe lies."""

    flex: Range
    knee: Range
    out: Range = (0, 14)
    turn: Range = (-8, 16)
    foot: Range | None = None
    """Up (positive) or pointed; None: the sole flat on the ground."""
    tied: bool = False
    """The knee bends as the hip does: the shin lies on the ground."""


@dataclass(frozen=True)
class Recipe:
    """How to make a pose.  ``other`` is the second leg, None for one like the first."""

    leg: Leg
    other: Leg | None = None
    pitch: Range = (-8, 10)
    """Of the hips, forwards."""
    roll: Range = (-4, 4)
    spine: Range = (-6, 20)
    head: Range = (-18, 25)
    arms: tuple[str, ...] = ("hang", "free", "hips", "crossed", "clasped", "face", "hold")
    lies: bool = False
    weight: float = 1.0


_SEATED = ("thigh", "knee", "clasped", "free", "hang", "face", "crossed", "hold")
_LYING = ("hang", "spread", "overhead", "face", "behind_head", "clasped")
_STANDING = Leg((-4, 10), (2, 24), (0, 12))
_POINTED, _LOOSE = (-50.0, -15.0), (-35.0, 12.0)
RECIPES: dict[str, tuple[Recipe, ...]] = {
    "sitting on a chair": (
        Recipe(Leg((76, 98), (65, 115), (0, 24)), pitch=(-22, 14), spine=(-4, 38), arms=_SEATED, weight=2),
        Recipe(Leg((76, 96), (70, 105)), Leg((92, 112), (50, 100), (-14, -4), foot=_LOOSE), (-20, 8), arms=_SEATED),
        Recipe(Leg((78, 96), (75, 105)), Leg((80, 98), (75, 105), (30, 45), (35, 55), _LOOSE), (-20, 5),
               arms=_SEATED),
        Recipe(Leg((70, 95), (5, 50), foot=_LOOSE), pitch=(-30, 0), arms=_SEATED, weight=0.5),
    ),
    "sitting on the floor": (
        Recipe(Leg((82, 92), (0, 30), (0, 22), foot=_LOOSE), pitch=(-32, 6), spine=(0, 35), arms=("floor_back",
               *_SEATED)),
        Recipe(Leg((112, 140), (95, 135), (0, 20)), pitch=(-32, 2), spine=(10, 45), arms=("floor_back", "knee",
               "free")),
        Recipe(Leg((82, 92), (0, 25), foot=_LOOSE), Leg((115, 140), (95, 130)), (-30, 2), arms=("floor_back",
               *_SEATED)),
        Recipe(Leg((72, 90), (100, 135), (20, 40), (25, 50), _POINTED), Leg((75, 90), (100, 135), (-5, 15), (-40,
               -15), _POINTED), (-20, 8), (-12, 12), (0, 30), arms=("floor_back", "thigh", "hang")),
    ),
    "sitting cross-legged": (
        Recipe(Leg((78, 102), (105, 142), (34, 54), (58, 80), (-40, 5)), pitch=(-16, 16), spine=(0, 38),
               arms=("knee", "thigh", "clasped", "face", "free", "floor_back")),
    ),
    "kneeling on both knees": (
        Recipe(Leg((-12, 14), (80, 106), (0, 15), foot=_POINTED, tied=True), pitch=(-8, 22)),
        Recipe(Leg((56, 76), (138, 152), (0, 18), foot=_POINTED, tied=True), pitch=(-6, 24), spine=(-4, 30),
               arms=_SEATED),
        Recipe(Leg((15, 55), (104, 144), (0, 18), foot=(-45, 10), tied=True), pitch=(0, 40), spine=(0, 40)),
    ),
    "kneeling on one knee": (
        Recipe(Leg((76, 108), (70, 118), (0, 20)), Leg((-22, 16), (70, 108), foot=_POINTED, tied=True), (-6, 24),
               arms=("knee", "hang", "free", "hold")),
        Recipe(Leg((88, 112), (95, 125), (0, 22)), Leg((40, 75), (125, 150), foot=(10, 35)), (0, 35), spine=(0, 38),
               arms=("knee", "hang", "free", "hold")),
    ),
    "lying on the back": (
        Recipe(Leg((-6, 14), (0, 22), (0, 22), (0, 40), _LOOSE), pitch=(-102, -82), arms=_LYING, lies=True),
        Recipe(Leg((45, 75), (85, 125), (0, 20)), pitch=(-102, -82), arms=_LYING, lies=True),
        Recipe(Leg((-4, 14), (0, 20), foot=_LOOSE), Leg((45, 80), (80, 125)), (-102, -80), arms=_LYING, lies=True),
        Recipe(Leg((70, 105), (20, 110), foot=_LOOSE), pitch=(-110, -78), arms=_LYING, lies=True, weight=0.5),
    ),
    "lying on the front": (
        Recipe(Leg((-14, 6), (0, 26), (0, 20), (-5, 35), _POINTED), pitch=(80, 100), spine=(-28, 6), head=(-45, 5),
               arms=("overhead", "prop", "hang", "spread"), lies=True),
        Recipe(Leg((-10, 4), (0, 26), foot=_POINTED), Leg((35, 75), (50, 110), (40, 65), (20, 45), _POINTED), (80,
               100), spine=(-18, 6), arms=("overhead", "prop", "spread"), lies=True),
        Recipe(Leg((-6, 6), (60, 110), foot=_POINTED), pitch=(80, 98), spine=(-35, -10), head=(-40, 0),
               arms=("prop",), lies=True, weight=0.4),
    ),
    "lying on the side": (
        Recipe(Leg((-5, 95), (5, 115), (-6, 12), foot=_LOOSE), pitch=(-14, 14), roll=(74, 104), spine=(0, 40),
               arms=("face", "free", "hang", "hold", "overhead"), lies=True),
        Recipe(Leg((-5, 30), (5, 45), (-6, 10), foot=_LOOSE), Leg((30, 95), (40, 110), (-6, 25), foot=_LOOSE), (-14,
               14), (74, 104), (0, 30), arms=("face", "free", "hang", "hold", "overhead"), lies=True),
    ),
    "crawling": (
        Recipe(Leg((-18, 20), (72, 108), (0, 14), foot=_POINTED, tied=True), pitch=(68, 94), spine=(-14, 14),
               head=(-55, 0), arms=("floor_front",), weight=2),
        Recipe(Leg((-30, -5), (62, 88), foot=_POINTED, tied=True), Leg((10, 42), (98, 132), foot=_POINTED,
               tied=True), (65, 92), spine=(-14, 14), head=(-55, 0), arms=("floor_front",)),
        Recipe(Leg((-40, 20), (15, 75), (0, 16), foot=(-10, 30)), pitch=(75, 125), spine=(-10, 14), head=(-40, 10),
               arms=("floor_front",)),
    ),
    "on one leg": (
        Recipe(_STANDING, Leg((25, 112), (30, 125), (-4, 20), foot=_LOOSE), (-8, 10), arms=("hang", "free", "spread",
               "hips")),
        Recipe(_STANDING, Leg((38, 68), (108, 138), (40, 60), (40, 60), _LOOSE), (-6, 8), arms=("pray", "overhead",
               "spread")),
        Recipe(_STANDING, Leg((-85, -15), (0, 60), foot=_POINTED), (5, 78), spine=(-20, 12), head=(-40, 5),
               arms=("spread", "free", "overhead")),
        Recipe(_STANDING, Leg((-10, 40), (0, 90), (25, 75), foot=_LOOSE), (-10, 20), (-30, 5), arms=("free",
               "spread", "hips")),
        Recipe(_STANDING, Leg((-15, 15), (60, 130), (-5, 10), foot=_POINTED), (-5, 15), arms=("hang", "free",
               "spread", "hips")),
        Recipe(_STANDING, Leg((50, 105), (0, 35), (-10, 15), foot=_LOOSE), (-28, 5), arms=("free", "spread",
               "hips")),
    ),
    "squatting": (
        Recipe(Leg((50, 92), (70, 118), (2, 35), (4, 32)), pitch=(10, 50), spine=(-5, 30), arms=("hold", "free",
               "thigh", "knee", "clasped", "spread")),
        Recipe(Leg((92, 122), (118, 148), (5, 40), (4, 32)), pitch=(5, 45), spine=(5, 45), arms=("hold", "free",
               "knee", "clasped", "hang")),
        Recipe(Leg((60, 100), (70, 115), (0, 25)), Leg((-30, 10), (40, 100), foot=(0, 35)), (0, 30), arms=("hips",
               "hang", "free", "knee")),
    ),
    "hands at the body": (
        Recipe(_STANDING, None, (-6, 10), arms=("face", "face", "hips", "hips", "crossed", "behind_head", "clasped",
               "behind_back", "pray", "pocket")),
        Recipe(Leg((-16, 24), (0, 40)), Leg((-22, 10), (5, 50)), (-6, 18), arms=("face", "hips", "crossed", "hold",
               "pocket")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """Where a left hand rests (the right one mirrors it): rest-pose metres, carried along by a bone."""

    bone: str
    wrist_m: tuple[float, float, float]
    spread_m: tuple[float, float, float]
    elbow: tuple[float, float, float]
    """Which way the elbow goes, in the chest's frame."""
    palm: tuple[float, float, float]
    """What the palm faces, in the bone's frame."""


REACHES: dict[str, tuple[Reach, ...]] = {
    "face": (
        Reach("head", (0.05, -0.22, 0.76), (0.03, 0.03, 0.03), (0.7, -0.1, -1), (-0.2, 0.8, 0.5)),  # chin, mouth
        Reach("head", (0.12, -0.19, 0.81), (0.02, 0.03, 0.04), (0.9, -0.2, -0.8), (-0.6, 0.7, 0.3)),  # cheek
        Reach("head", (0.14, -0.11, 0.82), (0.02, 0.03, 0.03), (1, 0, -0.7), (-1, 0.2, 0.2)),  # ear
        Reach("head", (0.10, -0.24, 0.90), (0.04, 0.02, 0.04), (1, -0.5, -0.4), (-0.5, 0.8, -0.1)),  # forehead
    ),
    "behind_head": (Reach("head", (0.15, -0.01, 0.87), (0.03, 0.04, 0.04), (1, 0.1, 0.5), (-0.6, -0.6, 0)),),
    "hips": (Reach("root", (0.22, 0.0, 0.25), (0.02, 0.04, 0.04), (1, 0.7, 0), (-1, 0, -0.3)),),
    "pocket": (Reach("root", (0.21, -0.06, 0.16), (0.02, 0.03, 0.03), (0.5, 1, 0), (-1, 0.2, 0)),),
    "crossed": (Reach("spine01", (-0.08, -0.23, 0.49), (0.04, 0.02, 0.03), (1, -0.2, -0.5), (-0.2, 1, 0)),),
    "clasped": (
        Reach("root", (0.06, -0.26, 0.24), (0.02, 0.05, 0.06), (1, 0.4, -0.2), (-1, 0.3, 0)),
        Reach("root", (0.07, -0.24, 0.08), (0.02, 0.03, 0.05), (1, 0.5, 0), (-1, 0.3, 0)),
    ),
    "behind_back": (Reach("root", (0.07, 0.15, 0.17), (0.03, 0.03, 0.06), (1, 0.8, 0), (0, 1, 0)),),
    "pray": (Reach("spine01", (0.04, -0.27, 0.50), (0.01, 0.03, 0.06), (1, 0, -0.4), (-1, 0, 0)),),
    "hold": (
        Reach("spine01", (0.14, -0.42, 0.42), (0.08, 0.10, 0.12), (0.8, 0.3, -1), (-1, 0, 0)),
        Reach("spine01", (0.12, -0.35, 0.60), (0.08, 0.08, 0.12), (0.8, 0, -1), (-1, 0, 0)),
    ),
    "thigh": (Reach("upperleg01", (0.14, -0.13, -0.10), (0.03, 0.02, 0.09), (1, 0.5, 0), (0, 1, 0)),),
    "knee": (Reach("upperleg01", (0.15, -0.15, -0.22), (0.04, 0.03, 0.05), (1, 0.4, 0), (0, 1, 0)),),
    "prop": (Reach("spine01", (0.10, -0.32, 0.62), (0.08, 0.05, 0.10), (1, -0.2, -0.4), (0, -1, 0)),),
}


@dataclass(frozen=True)
class Swing:
    """An arm that reaches for nothing; see ``limbs.arm``."""

    forward: Range
    out: Range
    twist: Range
    elbow: Range
    palm: tuple[float, float, float] | None = None
    """What the palm faces, in the chest's frame, before the wrist bends; None: what it happens to."""
    wrist: Range = (0, 0)
    """Bent backwards, as by weight on the hand."""


SWINGS = {
    "hang": Swing((-14, 26), (3, 20), (-10, 35), (4, 42)),
    "free": Swing((-40, 135), (0, 95), (-45, 70), (0, 125)),
    "spread": Swing((-15, 25), (60, 115), (-50, 40), (0, 50)),
    "overhead": Swing((-5, 40), (130, 172), (-40, 40), (0, 75)),
    "floor_back": Swing((-58, -22), (8, 32), (-30, 30), (0, 22), (0, 1, 0), (35, 80)),
    "floor_front": Swing((68, 112), (-4, 26), (-20, 30), (0, 24), (0, 0, -1), (45, 85)),
}
