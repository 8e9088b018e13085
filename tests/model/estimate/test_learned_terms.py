"""The network's word as evidence: believed as far as it is sure of itself, angle by angle, and no further."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.estimate import learned as learned_module
from model.estimate.equations import Equations
from model.estimate.evidence import STATURE_M, gather
from model.estimate.fit import Shared, TemporalFit
from model.estimate.learned import SURE_RAD, SURENESS, SUREST, Learned
from model.estimate.learned_terms import add_learned
from model.estimate.pose_space import FIRST_ANGLE, Pose
from model.estimate.rotation import matrix_from_rotvec, rotvec_from_matrix
from model.estimate.settings import FitSettings

from .conftest import FOCAL_PX, SIZE_PX, make_problem, make_scene

FRAMES, ANGLES = 4, 7
SURE, UNSURE = 1e-3, 1e3
GENTLE = FitSettings(learned_reach=1e4)


@pytest.fixture(autouse=True)
def even(monkeypatch: pytest.MonkeyPatch) -> None:
    """How sure the network is of itself counts as it is, no more, and on good footage no less than on usual."""
    monkeypatch.setattr(learned_module, "SURENESS", 0.0)
    monkeypatch.setattr(learned_module, "NEED_LEAST", 1.0)


def pose_of(seed: int, spread: float = 0.3) -> Pose:
    generator = torch.Generator().manual_seed(seed)
    position, turn = (spread * torch.randn(FRAMES, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    angles = spread * torch.randn(FRAMES, ANGLES, generator=generator, dtype=torch.float64)
    return Pose(position + torch.tensor([0.0, 0.0, 4.0]).double(), matrix_from_rotvec(turn), angles)


def learned_of(pose: Pose, sigma: float) -> Learned:
    """A network that says ``pose``, equally sure of everything."""
    frames, angles = pose.angles.shape
    doubt = torch.full((frames, 33), sigma, dtype=torch.float64)
    return Learned(
        pose=pose,
        angle_sigma=torch.full((frames, angles), sigma, dtype=torch.float64),
        orientation_sigma=doubt[:, :3],
        landmarks_m=torch.zeros(frames, 33, 3, dtype=torch.float64),
        landmark_sigma_m=doubt,
        seen_sigma=torch.zeros_like(doubt),
        up=torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64),
        contacts=torch.zeros(frames, 10, dtype=torch.float64),
        exchanged=torch.zeros(frames, 3, dtype=torch.float64),
        shape=torch.zeros(13, dtype=torch.float64),
        stature_m=1.7,
        stature_sigma=0.05,
    )


def equations_of(learned: Learned, pose: Pose, settings: FitSettings) -> Equations:
    equations = Equations(FRAMES, FIRST_ANGLE + ANGLES, 0)
    add_learned(equations, learned, settings, pose)
    return equations


def away(pose: Pose, from_: Pose) -> Tensor:
    """(T, P) the step from ``from_`` to ``pose``."""
    turn = rotvec_from_matrix(pose.orientation @ from_.orientation.mT)
    return torch.cat([pose.position - from_.position, turn, pose.angles - from_.angles], 1)


def settled(seen: Pose, learned: Learned, settings: FitSettings) -> Pose:
    """Where Gauss-Newton ends between the network and evidence for ``seen`` with a standard deviation of 1."""
    pose = seen
    for _ in range(60):
        equations = equations_of(learned, pose, settings)
        pull = away(seen, pose)
        equations.add_diagonal(0, torch.ones_like(pull), pull, torch.zeros(1))
        pose = pose.moved(equations.solve()[0][..., 0])
    return pose


@pytest.mark.parametrize("settings", [FitSettings(), GENTLE], ids=["robust", "gentle"])
def test_the_right_hand_side_is_the_gradient_of_the_cost(settings: FitSettings) -> None:
    learned = learned_of(pose_of(1), 0.2)
    near = pose_of(1).moved(0.05 * away(pose_of(2), pose_of(1)))  # turns that are small add up
    right = equations_of(learned, near, settings).right[..., 0]
    generator, step = torch.Generator().manual_seed(3), 1e-6
    for free in (slice(None), slice(0, 3), slice(3, 6), slice(6, None)):
        direction = torch.zeros_like(right)
        direction[:, free] = torch.randn(right[:, free].shape, generator=generator, dtype=torch.float64)
        up, down = (equations_of(learned, near.moved(s * direction), settings).cost for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(-float((right * direction).sum()), rel=0.02)


def test_weak_evidence_gives_way_to_a_network_that_is_sure() -> None:
    seen, said = pose_of(4), pose_of(5)
    ended = away(settled(seen, learned_of(said, SURE), GENTLE), said)
    assert ended[:, 3:].abs().max() < 1e-3
    assert torch.allclose(ended[:, :3], away(seen, said)[:, :3])  # of the place it tells nothing


def test_a_network_that_is_unsure_is_ignored() -> None:
    seen, said = pose_of(4), pose_of(5)
    assert away(settled(seen, learned_of(said, UNSURE), GENTLE), seen).abs().max() < 1e-3


def test_each_angle_counts_by_its_own_doubt() -> None:
    seen, said = pose_of(4), pose_of(5)
    doubt = torch.full((FRAMES, ANGLES), SURE, dtype=torch.float64)
    doubt[:, 3], doubt[2, :] = UNSURE, UNSURE
    learned = replace(learned_of(said, SURE), angle_sigma=doubt)
    ended = settled(seen, learned, GENTLE).angles
    to_network, to_evidence = (ended - said.angles).abs(), (ended - seen.angles).abs()
    unsure = doubt == UNSURE
    assert to_network[~unsure].max() < 1e-3 and to_evidence[unsure].max() < 1e-3
    assert to_network[unsure].min() > 1e-3 and to_evidence[~unsure].min() > 1e-3


def test_equally_sure_ones_meet_in_the_middle() -> None:
    """The network as sure as the evidence once its share of a frame is counted."""
    seen, said = pose_of(4, 0.05), pose_of(5, 0.05)
    ended = settled(seen, learned_of(said, GENTLE.learned_strength**0.5), GENTLE)
    assert torch.allclose(ended.angles, (seen.angles + said.angles) / 2, atol=1e-6)
    stronger = replace(GENTLE, learned_strength=3 * GENTLE.learned_strength)
    ended = settled(seen, learned_of(said, GENTLE.learned_strength**0.5), stronger)
    assert torch.allclose(ended.angles, 0.25 * seen.angles + 0.75 * said.angles, atol=1e-6)


def test_a_network_counts_more_where_the_landmarks_are_not_to_be_trusted() -> None:
    seen, said = pose_of(4, 0.05), pose_of(5, 0.05)
    learned = learned_of(said, GENTLE.learned_strength**0.5)
    lost = torch.zeros_like(learned.seen_sigma)
    lost[2:] = 0.1
    ended = away(settled(seen, replace(learned, seen_sigma=lost), GENTLE), said)[:, 3:].abs().mean(1)
    plain = away(settled(seen, learned, GENTLE), said)[:, 3:].abs().mean(1)
    assert torch.allclose(ended[:2], plain[:2])
    assert (ended[2:] < 0.1 * plain[2:]).all()


def test_a_network_counts_more_where_it_is_sure_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_module, "SURENESS", SURENESS)
    needs = [learned_of(pose_of(5), doubt * SURE_RAD).need(GENTLE.reprojection) for doubt in (0.1, 0.9, 1.0, 1.2)]
    for need, expected in zip(needs, (SUREST, 0.9**-SURENESS, 1.0, 1.2**-SURENESS), strict=True):
        assert torch.allclose(need, torch.full((FRAMES,), expected, dtype=torch.float64))


def test_a_network_that_is_sure_and_far_off_is_doubted() -> None:
    seen, said = pose_of(4, 0.02), pose_of(5, 0.02)
    said = replace(said, angles=said.angles + 3.0)
    learned = learned_of(said, 0.3)
    plain = settled(seen, learned, GENTLE).angles
    robust = settled(seen, learned, FitSettings(learned_reach=1.0)).angles
    assert ((robust - seen.angles) < 0.5 * (plain - seen.angles)).all()


@pytest.fixture(scope="module")
def fitted(body, space):
    """A person who is seen well or hardly, and a network that has the elbows wrong."""
    scene, problem = make_scene(body, space, frames=5), make_problem(space)
    # Without a network the same priors as beside one: what is left is the picture's.
    alike = replace(problem.settings, prior_strength=0.0, spread_strength=problem.settings.learned_spread_strength)
    problem = replace(problem, settings=alike)
    evidence = gather(scene.landmarks, FOCAL_PX, (SIZE_PX[0] / 2, SIZE_PX[1] / 2))
    shared = Shared(problem.shapes.start, FOCAL_PX, 0.0)
    true, shared = TemporalFit(problem, evidence).run(
        TemporalFit(problem, evidence).start(shared), shared, 12, lambda _: None
    )
    wrong = true.angles.clone()
    for side in "LR":
        wrong[:, space.names.index(f"elbow.{side}")] += 0.5
    said = Pose(true.position, true.orientation, wrong)

    rest = problem.shapes.rest(shared.shape)
    points, _ = space.landmarks(space.attach(rest), said.position, said.orientation, said.angles)
    about = (points - points[:, 23:25].mean(1, keepdim=True))[:, :33] * STATURE_M / float(rest.height_m)

    def fit(confidence: float, sigma: float) -> Tensor:
        """How far the elbows are from what the network says, as a share of how far it is off."""
        seen = replace(evidence, confidence=confidence * evidence.confidence)
        fit = TemporalFit(problem, seen, None, replace(learned_of(said, sigma), landmarks_m=about))
        pose, _ = fit.run(true, shared, 12, lambda _: None, free=False)
        elbow = space.names.index("elbow.R")
        return (said.angles - pose.angles)[:, elbow] / 0.5

    return fit


def test_the_fit_ends_where_a_sure_network_wants_it_if_hardly_anything_is_seen(fitted) -> None:
    assert fitted(confidence=0.01, sigma=0.01).abs().max() < 0.1


def test_the_fit_ends_where_the_picture_wants_it_if_the_network_is_unsure(fitted) -> None:
    assert (fitted(confidence=1.0, sigma=3.0) - 1).abs().max() < 0.1


@pytest.mark.parametrize("told", [False, True])
def test_beside_a_network_the_pose_prior_does_not_count(told: bool, body, space) -> None:
    """Both have learned from the same poses."""
    scene, problem = make_scene(body, space, frames=5), make_problem(space)
    evidence = gather(scene.landmarks, FOCAL_PX, (SIZE_PX[0] / 2, SIZE_PX[1] / 2))
    shared, ends = Shared(problem.shapes.start, FOCAL_PX, 0.0), []
    start = TemporalFit(problem, evidence).start(shared)
    learned = replace(learned_of(start, 1.0), landmarks_m=scene.points_m[:, :33]) if told else None
    for strength in (0.02, 1.0):
        weighed = replace(problem, settings=replace(problem.settings, prior_strength=strength))
        ends.append(TemporalFit(weighed, evidence, None, learned).run(start, shared, 4, lambda _: None, free=False)[0])
    assert torch.equal(ends[0].angles, ends[1].angles) == told
