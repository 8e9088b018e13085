"""The same scenes by Blender: a depth picture to check the torch renderer against."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from . import stage

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
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGB", "32"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "depth.exr"
        stage.render(scene, path)
        image = bpy.data.images.load(str(path))
        values = np.empty(size_px[0] * size_px[1] * 4, np.float32)
        image.pixels.foreach_get(values)
    depth = values.reshape(size_px[1], size_px[0], 4)[::-1, :, 0]
    return np.where(depth > 0, depth, np.inf)


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
