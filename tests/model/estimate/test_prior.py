"""The prior over poses: its derivative and its quadratic are right, its tails heavy, its file checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError
from model.estimate.prior import FILE, PosePrior
from model.paths import WEIGHTS


def tiny(count: int = 3, size: int = 4, tail: float = 6.0, seed: int = 0) -> PosePrior:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    factors = random(count, size, size).tril(-1) * 0.5 + torch.diag_embed(random(count, size).abs() + 0.5)
    names = tuple(f"joint.{i}" for i in range(size))
    wide = torch.full((size,), 3.0, dtype=torch.float64)
    return PosePrior(names, torch.log_softmax(random(count), 0), random(count, size), factors, tail, -wide, wide)


def poses(prior: PosePrior, frames: int = 20, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn((frames, len(prior.names)), generator=generator, dtype=torch.float64)


def test_energy_is_that_of_a_mixture_of_students_t():
    stats = pytest.importorskip("scipy.stats")
    prior, angles = tiny(), poses(tiny())
    density = sum(
        float(weight.exp()) * stats.multivariate_t(mean, np.linalg.inv(factor @ factor.T), prior.tail).pdf(angles)
        for weight, mean, factor in zip(prior.log_weights, prior.means.numpy(), prior.factors.numpy(), strict=True)
    )
    np.testing.assert_allclose(prior.linearise(angles)[2], -np.log(density), rtol=1e-9)


def test_pull_is_minus_the_derivative():
    prior = tiny()
    angles = poses(prior).requires_grad_()
    _, pull, energy = prior.linearise(angles)
    (slope,) = torch.autograd.grad(energy.sum(), angles)
    torch.testing.assert_close(pull, -slope)
    assert pull.dtype == torch.float64


def test_the_quadratic_touches_the_energy_and_lies_above_it():
    prior = tiny()
    angles = poses(prior, 50)
    precision, pull, energy = prior.linearise(angles)
    assert torch.linalg.eigvalsh(precision).min() > 0
    for seed in range(5):
        step = poses(prior, 50, seed=seed + 10)
        quadratic = energy - (pull * step).sum(1) + 0.5 * torch.einsum("tq,tqr,tr->t", step, precision, step)
        assert (prior.linearise(angles + step)[2] <= quadratic + 1e-9).all()


def test_full_steps_on_it_only_go_down():
    prior = tiny(count=4, size=6)
    angles = 4 * poses(prior, 30)
    last = prior.linearise(angles)[2]
    for _ in range(40):
        precision, pull, _ = prior.linearise(angles)
        angles = angles + torch.linalg.solve(precision, pull)
        energy = prior.linearise(angles)[2]
        assert (energy <= last + 1e-9).all()
        last = energy
    assert prior.linearise(angles)[1].norm(dim=1).max() < 0.05  # at a likely pose


def test_a_pose_unlike_all_is_pulled_weakly():
    prior = tiny(count=1)
    away = torch.nn.functional.normalize(poses(prior, 1), dim=1)
    distance = torch.tensor([1.0, 3.0, 30.0, 300.0], dtype=torch.float64)
    _, pull, _ = prior.linearise(prior.means + distance[:, None] * away)
    strength = pull.norm(dim=1)
    assert strength[3] < 0.15 * strength[2] < 0.15 * strength[1]
    _, gaussian, _ = PosePrior(**(vars(prior) | {"tail": 1e9})).linearise(prior.means + distance[:, None] * away)
    assert gaussian.norm(dim=1)[3] == pytest.approx(100 * float(gaussian.norm(dim=1)[1]), rel=1e-3)


def write(path, **changes) -> None:
    prior = tiny()
    arrays = {
        "names": np.array(prior.names),
        "log_weights": prior.log_weights.numpy(),
        "means": prior.means.numpy(),
        "precision_factors": prior.factors.numpy(),
        "tail": np.float32(6),
        "lower": prior.lower.numpy(),
        "upper": prior.upper.numpy(),
    }
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if v is not None})


def test_reads_what_was_written(tmp_path):
    write(tmp_path / FILE)
    prior = PosePrior.load(tmp_path / FILE, tiny().names)
    torch.testing.assert_close(prior.linearise(poses(prior)), tiny().linearise(poses(prior)))


@pytest.mark.parametrize(
    "changes",
    [
        {"means": None},
        {"means": np.zeros((3, 5))},
        {"log_weights": np.array([0.0, np.nan, 0.0])},
        {"precision_factors": np.zeros((3, 4, 4))},
        {"tail": np.float32(-1)},
        {"lower": np.full(4, 4.0)},
        {"names": np.array([object()] * 4, dtype=object)},
    ],
    ids=["missing", "shape", "not finite", "no precision", "tail", "limits", "pickle"],
)
def test_a_damaged_file_is_refused(tmp_path, changes):
    write(tmp_path / FILE, **changes)
    with pytest.raises(RuntimeSetupError, match="Install the add-on again"):
        PosePrior.load(tmp_path / FILE)


def test_no_file_and_half_a_file_are_refused(tmp_path):
    with pytest.raises(RuntimeSetupError):
        PosePrior.load(tmp_path / FILE)
    (tmp_path / FILE).write_bytes((WEIGHTS / FILE).read_bytes()[:5000])
    with pytest.raises(RuntimeSetupError):
        PosePrior.load(tmp_path / FILE)


def test_other_angles_are_refused(tmp_path):
    write(tmp_path / FILE)
    with pytest.raises(RuntimeSetupError, match="other joint angles"):
        PosePrior.load(tmp_path / FILE, tiny().names[::-1])


def test_the_shipped_prior_is_about_the_pose_space(space):
    prior = PosePrior.load(WEIGHTS / FILE, space.names)
    assert (WEIGHTS / FILE).stat().st_size < 2_000_000
    assert prior.log_weights.exp().sum() == pytest.approx(1.0, abs=1e-5)
    hinges = [i for i, n in enumerate(space.names) if n.startswith(("elbow", "knee"))]
    torch.testing.assert_close(prior.lower[hinges], space.lower[hinges], atol=1e-5, rtol=0)
    assert (prior.upper - prior.lower).min() > 0.5
    still = torch.zeros((1, len(space.names)), dtype=torch.float64)
    assert ((still >= prior.lower) & (still <= prior.upper)).all()
    backwards = still.clone()
    backwards[0, space.names.index("waist.x")] = -2.5
    assert prior.linearise(backwards)[2] > prior.linearise(still)[2] + 20
