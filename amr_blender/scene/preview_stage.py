"""The scenes of the preview: the body through the footage's camera, and body and bones from the side on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

Array = NDArray[Any]
_BODY_OVER, _BODY_BESIDE = (1.05, 1.35, 2.2, 1.0), (1.9, 1.8, 1.7, 0.30)  # above 1: the matcap darkens
_BONE, _GRID, _FLOOR = (0.10, 0.85, 2.2, 1.0), (0.30, 0.31, 0.33, 1.0), (0.19, 0.20, 0.21, 1.0)
_CELL_M, _LINE_M = 0.5, 0.012
_SMALL_BONES = ("finger", "toe", "metacarpal", "eye", "root")
_SAMPLES = 12
_KINDS = ("scenes", "objects", "meshes", "cameras", "images", "actions", "worlds")  # scenes first: they hold the rest


@contextmanager
def removed_afterwards() -> Iterator[None]:
    """Remove every data-block made inside the ``with``, however it ends."""
    before = {kind: {block.as_pointer() for block in getattr(bpy.data, kind)} for kind in _KINDS}
    try:
        yield
    finally:
        for kind in _KINDS:
            blocks = getattr(bpy.data, kind)
            for block in [b for b in blocks if b.as_pointer() not in before[kind]]:
                blocks.remove(block)


def through_camera(body: Any, rig: Any, camera: Any, size: tuple[int, int]) -> Any:
    """The body alone, as the footage's camera sees it, on nothing."""
    scene = _workbench("AMR Preview Camera", size)
    scene.collection.objects.link(rig)
    _copy(scene, body, _BODY_OVER)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.film_transparent = True
    return scene


def from_the_side(body: Any, rig: Any, camera: Any, size: tuple[int, int], first: int, last: int) -> Any:
    """See-through body, its bones and a grid on the ground, across the footage's line of sight."""
    scene = _workbench("AMR Preview Side", size)
    scene.collection.objects.link(rig)
    twin = _copy(scene, body, _BODY_BESIDE)
    _bones(scene, rig)
    low, high = _bounds(scene, twin, first, last)
    _ground(scene, low, high)
    scene.camera = _side_camera(scene, camera, low, high)
    return scene


def _workbench(name: str, size: tuple[int, int]) -> Any:
    scene = bpy.data.scenes.new(name)
    render = scene.render
    render.engine = "BLENDER_WORKBENCH"
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "FXAA"
    shading = scene.display.shading
    shading.light, shading.color_type = "MATCAP", "OBJECT"
    for name in ("basic_bright.exr", "basic_1.exr"):  # since Blender 5, before
        with suppress(TypeError):
            shading.studio_light = name
    shading.show_shadows, shading.show_cavity, shading.show_specular_highlight = False, False, False
    return scene


def _copy(scene: Any, body: Any, colour: tuple[float, ...]) -> Any:
    """A twin of the body that shares mesh and motion but has a colour of its own."""
    twin = body.copy()
    twin.color = colour
    twin.hide_render = False
    scene.collection.objects.link(twin)
    return twin


def _mesh_object(scene: Any, name: str, points: Array, faces: Array, colour: tuple[float, ...]) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(points).tolist(), [], np.asarray(faces).tolist())
    item = bpy.data.objects.new(name, mesh)
    item.color = colour
    scene.collection.objects.link(item)
    return item


def _bones(scene: Any, rig: Any) -> None:
    """Blender draws no armature in a render: an octahedron for each larger bone, moved by the rig."""
    shape = np.array([[0, 0, 0], [1.4, 1.8, 0], [0, 1.8, 1.4], [-1.4, 1.8, 0], [0, 1.8, -1.4], [0, 10, 0]]) / 10
    sides = np.array([[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4], [5, 1, 2], [5, 2, 3], [5, 3, 4], [5, 4, 1]])
    chosen = [b for b in rig.data.bones if not b.name.startswith(_SMALL_BONES)]
    points, faces = [], []
    for number, bone in enumerate(chosen):
        matrix, length = np.array(bone.matrix_local), bone.length
        thick = min(length, 0.30)
        points.append(shape * [thick, length, thick] @ matrix[:3, :3].T + matrix[:3, 3])
        faces.append(sides + 6 * number)
    item = _mesh_object(scene, "AMR Preview Bones", np.concatenate(points), np.concatenate(faces), _BONE)
    for number, bone in enumerate(chosen):
        item.vertex_groups.new(name=bone.name).add(list(range(6 * number, 6 * number + 6)), 1.0, "REPLACE")
    item.parent = rig
    item.modifiers.new("Armature", "ARMATURE").object = rig


def _bounds(scene: Any, body: Any, first: int, last: int) -> tuple[Array, Array]:
    """Corners of the box that the body moves in, sampled over the clip."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    layer = scene.view_layers[0]
    for frame in np.unique(np.linspace(first, last, _SAMPLES).round().astype(int)).tolist():
        scene.frame_set(frame)
        evaluated = body.evaluated_get(layer.depsgraph)
        mesh = evaluated.to_mesh()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        matrix = np.array(evaluated.matrix_world)
        evaluated.to_mesh_clear()
        world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
        low, high = np.minimum(low, world.min(0)), np.maximum(high, world.max(0))
    return low, high


def _ground(scene: Any, low: Array, high: Array) -> None:
    """A floor at Z = 0 with a grid of half a metre."""
    start = np.floor((low[:2] - 0.75) / _CELL_M) * _CELL_M
    end = np.ceil((high[:2] + 0.75) / _CELL_M) * _CELL_M

    def quad(x0: float, y0: float, x1: float, y1: float, z: float) -> list[list[float]]:
        return [[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]]

    half = _LINE_M / 2
    lines = [quad(x - half, start[1], x + half, end[1], 0.0) for x in np.arange(start[0], end[0] + 1e-6, _CELL_M)]
    lines += [quad(start[0], y - half, end[0], y + half, 0.0) for y in np.arange(start[1], end[1] + 1e-6, _CELL_M)]
    floor = [quad(*start, *end, -0.01)]
    for name, quads, colour in (("AMR Preview Grid", lines, _GRID), ("AMR Preview Floor", floor, _FLOOR)):
        _mesh_object(scene, name, np.concatenate(quads), np.arange(4 * len(quads)).reshape(-1, 4), colour)


def _side_camera(scene: Any, camera: Any, low: Array, high: Array) -> Any:
    """Looks across the footage's line of sight, a little from above, and sees the whole motion."""
    forward = -np.array(camera.matrix_world)[:3, 2]
    forward[2] = 0.0
    length = np.linalg.norm(forward)
    forward = forward / length if length > 1e-3 else np.array([0.0, 1.0, 0.0])
    across = np.array([forward[1], -forward[0], 0.0])  # to the footage's right
    back = across * np.cos(0.22) + np.array([0, 0, np.sin(0.22)])  # from the motion to the camera
    right = np.cross([0, 0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    middle = (low + high) / 2
    corners = np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (min(low[2], 0), high[2])]
    )
    offset = corners - middle
    data = bpy.data.cameras.new("AMR Preview Side")
    data.sensor_fit, data.angle = "HORIZONTAL", 0.6
    slope = np.tan(data.angle / 2) * 0.92
    spread = np.maximum(np.abs(offset @ right), np.abs(offset @ up))
    distance = float((spread / slope + offset @ back).max())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack([right, up, back], 1), middle + back * distance
    data.clip_end = 4 * distance + 100
    item = bpy.data.objects.new("AMR Preview Side", data)
    item.matrix_world = Matrix(matrix.tolist())
    scene.collection.objects.link(item)
    return item
