"""The same scenes by Blender's Cycles: with bounced light and soft shadows, a hundred times slower.

``light`` takes the place of ``Film.light`` in ``Film.frames``.  ``depth_m`` is what the torch renderer is checked by.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..scene import stage
from .film import Film

Array = NDArray[np.floating]


def depth_m(points_cam_m: Array, faces: NDArray[np.int64], K: Array, size_px: tuple[int, int]) -> Array:
    """(H, W) distance along the camera's axis at the pixels' centres by Cycles; infinite where there is nothing.

    Args:
        points_cam_m: (V, 3) camera space. faces: (F, 3 or 4). K: (3, 3), principal point in the middle.
    """
    scene = stage.empty_scene(*size_px, fps=24, samples=1)
    scene.cycles.use_denoising = False
    scene.cycles.pixel_filter_type, scene.render.filter_size = "BOX", 0.01
    scene.cycles.filter_width = 0.01  # every ray goes through its pixel's centre
    stage.add_camera(scene, K, np.eye(4))
    mesh = bpy.data.meshes.new("measured")
    mesh.from_pydata(np.asarray(points_cam_m, float).tolist(), [], faces.tolist())
    mesh.materials.append(_depth_as_light())
    scene.collection.objects.link(bpy.data.objects.new("measured", mesh))
    scene.world = None  # black
    depth = _rendered(scene, "RGB")[..., 0]
    return np.where(depth > 0, depth, np.inf)


def _rendered(scene: bpy.types.Scene, channels: str) -> Array:
    """(H, W, 4) linear values of the scene, RGBA."""
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", channels, "32"
    width, height = scene.render.resolution_x, scene.render.resolution_y
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        stage.render(scene, path)
        image = bpy.data.images.load(str(path))
        values = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(values)
    return values.reshape(height, width, 4)[::-1]


def light(film: Film, frame: int, samples: int = 24) -> Array:
    """(H, W, 3) linear light of one frame, the shutter open for an instant.

    Person and props stand on a ground that catches their shadows, before the same place as the torch renderer's.
    """
    scene = stage.empty_scene(*film.camera.size_px, fps=film.motion.fps, samples=samples)
    scene.render.film_transparent = True
    stage.add_camera(scene, film.camera.K, film.camera.camera_to_world)
    points = film.scene_m(frame).numpy()
    mesh = bpy.data.meshes.new("people and things")
    mesh.from_pydata(points.tolist(), [], film.faces.tolist())
    mesh.shade_smooth()
    colour = mesh.color_attributes.new("albedo", "FLOAT_COLOR", "POINT")
    rgba = np.concatenate([film.albedo.numpy(), np.ones((len(points), 1), np.float32)], 1)
    colour.data.foreach_set("color", rgba.ravel())
    mesh.materials.append(_painted())
    scene.collection.objects.link(bpy.data.objects.new(mesh.name, mesh))
    ground = bpy.data.meshes.new("ground")
    ground.from_pydata([(-40, -40, 0), (40, -40, 0), (40, 40, 0), (-40, 40, 0)], [], [(0, 1, 2, 3)])
    catcher = bpy.data.objects.new("ground", ground)
    catcher.is_shadow_catcher = True
    scene.collection.objects.link(catcher)
    _lamps(scene, film, points.mean(0))
    rgba = _rendered(scene, "RGBA")
    return np.asarray(rgba[..., :3] + (1 - rgba[..., 3:]) * film.empty_light())


def _painted() -> bpy.types.Material:
    material = bpy.data.materials.new("painted")
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    attribute = nodes.new("ShaderNodeAttribute")
    attribute.attribute_name = "albedo"
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value, shader.inputs["Specular IOR Level"].default_value = 0.8, 0.2
    links.new(attribute.outputs["Color"], shader.inputs["Base Color"])
    return material


def _lamps(scene: bpy.types.Scene, film: Film, middle_m: Array) -> None:
    """Suns from where the lamps stand, as strong as they are at the person, and a sky."""
    for number, (place, rgb) in enumerate(
        zip(film.lights.places_m[0].numpy(), film.lights.rgb[0].numpy(), strict=True)
    ):
        data = bpy.data.lights.new(f"lamp {number}", "SUN")
        data.energy, data.angle = float(np.pi * rgb.max()), 0.12  # a matt surface sends back 1 / pi
        data.color = (rgb / max(rgb.max(), 1e-6)).tolist()
        z = place - middle_m
        z = z / np.linalg.norm(z)
        x = np.cross([0.0, 1.0, 0.0] if abs(z[2]) > 0.95 else [0.0, 0.0, 1.0], z)
        x /= np.linalg.norm(x)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([x, np.cross(z, x), z], 1)  # a lamp shines along its -Z
        lamp = bpy.data.objects.new(data.name, data)
        lamp.matrix_world = matrix.T
        scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("sky")
    if world.node_tree is None:
        world.use_nodes = True
    shine = world.node_tree.nodes["Background"].inputs
    shine["Color"].default_value, shine["Strength"].default_value = (*film.lights.ambient_rgb[0].tolist(), 1.0), 0.85
    scene.world = world


def _depth_as_light() -> bpy.types.Material:
    """A material that shines with its distance along the camera's axis."""
    material = bpy.data.materials.new("depth")
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    shine, camera = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeCameraData")
    out = nodes.new("ShaderNodeOutputMaterial")
    links.new(camera.outputs["View Z Depth"], shine.inputs["Color"])
    links.new(shine.outputs["Emission"], out.inputs["Surface"])
    return material
