"""The hierarchy of meshes: made along the surface, symmetric, and lossless where it says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError
from model.body import AnnyBody
from model.body.hierarchy import FILE, Hierarchy
from model.convert.hierarchy import build, mirror_of
from model.estimate.rotation import matrix_from_rotvec

GAP_M = 0.02


def tongs() -> tuple[np.ndarray, np.ndarray]:
    """A strip bent to a U: two legs of a metre, hardly apart, grown together only below."""
    half = 40
    height = np.linspace(1.0, 0.0, half)
    x = np.concatenate([np.full(half, -GAP_M / 2), np.full(half, GAP_M / 2)])
    z = np.concatenate([height, height[::-1]])
    points = np.stack([np.stack([x, np.full_like(x, y), z], 1) for y in np.arange(5) * 0.02], 1)  # (80, 5, 3)
    number = np.arange(points.shape[0] * 5).reshape(-1, 5)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    return points.reshape(-1, 3), quads


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, Hierarchy]:
    points, quads = tongs()
    skin = np.stack([points[:, 0] < 0, points[:, 0] > 0], 1).astype(float)
    return points, Hierarchy(build(points, quads, skin, (12, 40)))


@pytest.fixture(scope="module")
def hierarchy(assets: Path) -> Hierarchy:
    return Hierarchy.load(assets)


@pytest.fixture(scope="module")
def posed(assets: Path) -> torch.Tensor:
    """(4, V, 3) bodies whose every joint is turned at random."""
    body = AnnyBody.load(assets)
    turns = 0.35 * torch.randn(4, len(body.bone_names), 3, generator=torch.Generator().manual_seed(0))
    return body.pose(body.rest(body.default_shape()), matrix_from_rotvec(turns), torch.zeros(4, 3))


def test_nothing_grows_across_a_gap(small: tuple[np.ndarray, Hierarchy]) -> None:
    """Far up, the other leg is two centimetres away, and two metres along the surface."""
    points, tree = small
    for level in (0, 1):
        at = points[tree.seeds(level).numpy()]
        high, left = at[:, 2] > 0.4, at[:, 0] < 0
        for start, around in enumerate(tree.neighbours(level).tolist()):
            if high[start] and level == 1:
                assert not any(high[other] and left[other] != left[start] for other in around)
        finer = points[tree.seeds(level + 1).numpy()]
        owner, (parents, weights) = tree.owner(level + 1).numpy(), tree.parents(level + 1)
        for own, place in enumerate(finer):
            if place[2] > 0.4:
                assert left[owner[own]] == (place[0] < 0)
                used = parents[own][weights[own] > 0].numpy()
                assert (left[used] == (place[0] < 0)).all()


def test_the_bone_of_a_cluster_is_the_one_that_moves_most_of_it(small: tuple[np.ndarray, Hierarchy]) -> None:
    points, tree = small
    seeds = points[tree.seeds(1).numpy()]
    high = seeds[:, 2] > 0.3
    assert (tree.bone(1).numpy()[high] == (seeds[high, 0] > 0)).all()


def test_the_body_has_the_sizes_that_were_asked_for(hierarchy: Hierarchy) -> None:
    assert hierarchy.sizes[-1] == 13718
    for size, wanted in zip(hierarchy.sizes, (240, 900, 3500), strict=False):
        assert abs(size - wanted) <= 2


def test_levels_are_nested_and_their_own_mirror_images(hierarchy: Hierarchy, assets: Path) -> None:
    mirror = torch.from_numpy(mirror_of(AnnyBody.load(assets).get_buffer("_vertices").double().numpy()))
    for level in range(hierarchy.last):
        seeds = hierarchy.seeds(level)
        assert set(mirror[seeds].tolist()) == set(seeds.tolist())
        assert torch.equal(seeds, hierarchy.seeds(level + 1)[: len(seeds)]) or level + 1 == hierarchy.last


def test_every_joint_of_the_hand_is_there_from_the_third_level_on(hierarchy: Hierarchy, assets: Path) -> None:
    names = AnnyBody.load(assets).bone_names
    there = {names[bone] for bone in hierarchy.bone(2).tolist()}
    fingers = {name for name in names if name.startswith("finger")}
    assert fingers <= there


def test_constants_stay_constants(hierarchy: Hierarchy) -> None:
    full = torch.full((2, hierarchy.sizes[-1], 3), 1.7)
    for level in range(hierarchy.last):
        coarse = hierarchy.pool_to(full, level)
        assert coarse.shape == (2, hierarchy.sizes[level], 3)
        assert torch.allclose(coarse, torch.tensor(1.7), atol=1e-5)
        assert torch.allclose(hierarchy.unpool_from(coarse, level), full, atol=1e-5)


@pytest.mark.parametrize(("level", "sampled_mm", "pooled_mm"), [(0, 12.0, 19.0), (1, 5.0, 8.5), (2, 1.6, 3.0)])
def test_a_posed_body_comes_back(
    hierarchy: Hierarchy, posed: torch.Tensor, level: int, sampled_mm: float, pooled_mm: float
) -> None:
    """On the whole; means over a cluster lie under a curved surface, its seeds on it."""
    sampled = hierarchy.unpool_from(hierarchy.sample(posed, level), level)
    pooled = hierarchy.unpool_from(hierarchy.pool_to(posed, level), level)
    assert 1000 * (sampled - posed).norm(dim=-1).mean() < sampled_mm
    assert 1000 * (pooled - posed).norm(dim=-1).mean() < pooled_mm


def test_a_vertex_that_stays_keeps_its_value(hierarchy: Hierarchy) -> None:
    values = torch.randn(hierarchy.sizes[1], 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(hierarchy.unpool(values, 2)[: len(values)], values, atol=2e-3)


def test_what_is_below_the_least_stays_below_everywhere(hierarchy: Hierarchy) -> None:
    limit = torch.rand(2, hierarchy.sizes[-1], 1, generator=torch.Generator().manual_seed(2))
    coarse = limit
    for level in range(hierarchy.last, 0, -1):
        coarse = hierarchy.least(coarse, level)
    assert torch.isfinite(coarse).all()
    assert (hierarchy.unpool_from(coarse, 0) <= limit + 1e-6).all()


def test_faces_of_a_coarse_level_look_outwards(hierarchy: Hierarchy, assets: Path) -> None:
    """Their volume is that of the body, less what a coarse mesh cuts off."""
    body = AnnyBody.load(assets)
    points = body.rest(body.default_shape()).vertices_m
    quads = torch.from_numpy(body.quads.astype(np.int64))

    def volume(at: torch.Tensor, faces: torch.Tensor) -> float:
        a, b, c = (at[faces[:, k]] for k in range(3))
        return float((a * torch.linalg.cross(b, c)).sum() / 6)

    whole = volume(points, torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    share = [volume(hierarchy.sample(points, level), hierarchy.faces(level)) / whole for level in range(hierarchy.last)]
    assert share[0] > 0.7 and share[1] > 0.87 and share[2] > 0.96
    assert max(share) < 1.02


@pytest.mark.parametrize("damage", ["missing", "cut off", "points outside", "wrong rows"])
def test_a_damaged_file_is_refused(small: tuple[np.ndarray, Hierarchy], tmp_path: Path, damage: str) -> None:
    points, quads = tongs()
    arrays = build(points, quads, np.ones((len(points), 1)), (12,))
    if damage == "points outside":
        arrays["parents_1"] = arrays["parents_1"] + 12
    if damage == "wrong rows":
        arrays["owner_1"] = arrays["owner_1"][:-1]
    if damage != "missing":
        np.savez_compressed(tmp_path / FILE, **arrays)
    if damage == "cut off":
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-100])
    with pytest.raises(RuntimeSetupError) as caught:
        Hierarchy.load(tmp_path)
    assert "setup" in caught.value.remedy


def test_a_mesh_that_is_not_its_mirror_image_is_refused() -> None:
    points, quads = tongs()
    points[7, 0] += 0.01
    with pytest.raises(ValueError, match="mirror"):
        build(points, quads, np.ones((len(points), 1)), (12,))
