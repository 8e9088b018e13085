"""The demo clip's set in Blender: a room, soft light, a camera, the dressed body as meshes that move frame by frame."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.spaces import blender_camera_matrix, lens_from_focal_px

from .outfit import Garment

Array = NDArray[np.floating]
COLOURS = {  # linear RGB, roughness
    "skin": ((0.58, 0.33, 0.23), 0.5), "lips": ((0.45, 0.17, 0.14), 0.45), "teeth": ((0.8, 0.78, 0.7), 0.3),
    "whites": ((0.85, 0.83, 0.8), 0.2), "irises": ((0.06, 0.035, 0.02), 0.15), "hair": ((0.035, 0.018, 0.010), 0.45),
    "shirt": ((0.045, 0.30, 0.29), 0.85), "trousers": ((0.055, 0.060, 0.085), 0.8), "shoes": ((0.50, 0.10, 0.045), 0.6),
    "soles": ((0.82, 0.80, 0.75), 0.6),
}  # fmt: skip
FINE = {"skin": 1, "shirt": 1, "trousers": 1, "hair": 2}
"""Subdivision levels."""


def empty_scene(width_px: int, height_px: int, fps: float, samples: int) -> bpy.types.Scene:
    """A fresh file that renders with Cycles on the processor."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.seed = samples, 7
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 3
    scene.cycles.denoising_prefilter = "FAST"
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = width_px, height_px, round(fps)
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    return scene


def add_camera(scene: bpy.types.Scene, K: Array, camera_to_world: Array) -> None:
    """The camera of (3, 3) ``K`` (principal point in the middle) and (4, 4) OpenCV ``camera_to_world``."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.matrix_world = blender_camera_matrix(camera_to_world).T
    camera.data.sensor_width = 36.0
    camera.data.lens = lens_from_focal_px(float(K[0, 0]), scene.render.resolution_x, scene.render.resolution_y)
    scene.collection.objects.link(camera)
    scene.camera = camera


def _material(name: str, colour: tuple[float, float, float], roughness: float) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # Blender 5 makes one from the start
        material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return material


def _mottle(
    material: bpy.types.Material, scale: float, strength: float, bump: float, attribute: str | None = None
) -> None:
    """Vary the colour, and raise the surface, by noise in rest-pose space, so that the pattern sticks to what moves."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    place = nodes.new("ShaderNodeAttribute" if attribute else "ShaderNodeTexCoord")
    if attribute:
        place.attribute_name = attribute
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = scale, 4.0
    links.new(place.outputs["Vector" if attribute else "Object"], noise.inputs["Vector"])
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    base = np.array(shader.inputs["Base Color"].default_value)
    mix.inputs["A"].default_value = (*(base[:3] * (1 - strength)), 1.0)
    mix.inputs["B"].default_value = (*np.minimum(base[:3] * (1 + strength), 1.0), 1.0)
    links.new(noise.outputs["Fac"], mix.inputs["Factor"])
    links.new(mix.outputs["Result"], shader.inputs["Base Color"])
    if bump:
        raised = nodes.new("ShaderNodeBump")
        raised.inputs["Strength"].default_value, raised.inputs["Distance"].default_value = bump, 0.004
        links.new(noise.outputs["Fac"], raised.inputs["Height"])
        links.new(raised.outputs["Normal"], shader.inputs["Normal"])


def _planks(material: bpy.types.Material) -> None:
    """Floor boards: a brick pattern with mottled tone."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    place, brick = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeTexBrick")
    noise, mix = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeMix")
    stretch = nodes.new("ShaderNodeMapping")
    stretch.inputs["Scale"].default_value = (1.2, 14.0, 1.0)
    links.new(place.outputs["Object"], brick.inputs["Vector"])
    links.new(place.outputs["Object"], stretch.inputs["Vector"])
    links.new(stretch.outputs["Vector"], noise.inputs["Vector"])
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 3.0, 6.0
    brick.inputs["Color1"].default_value, brick.inputs["Color2"].default_value = (
        (0.36, 0.215, 0.115, 1),
        (0.27, 0.155, 0.08, 1),
    )
    brick.inputs["Mortar"].default_value = (0.08, 0.045, 0.025, 1)
    for name, value in (("Scale", 1.0), ("Mortar Size", 0.003), ("Brick Width", 1.6), ("Row Height", 0.16)):
        brick.inputs[name].default_value = value
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    mix.inputs["Factor"].default_value = 0.55
    links.new(brick.outputs["Color"], mix.inputs["A"])
    links.new(noise.outputs["Fac"], mix.inputs["B"])
    links.new(mix.outputs["Result"], nodes["Principled BSDF"].inputs["Base Color"])


def _blots(material: bpy.types.Material) -> None:
    """A picture for the wall: noise cut into four flat colours."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    noise, ramp = nodes.new("ShaderNodeTexNoise"), nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 2.6, 0.5
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    ramp.color_ramp.interpolation = "CONSTANT"
    colours = (
        (0.0, (0.62, 0.55, 0.43)),
        (0.44, (0.52, 0.20, 0.08)),
        (0.50, (0.09, 0.20, 0.24)),
        (0.57, (0.70, 0.44, 0.10)),
    )
    while len(ramp.color_ramp.elements) < len(colours):
        ramp.color_ramp.elements.new(0.5)
    for element, (place, colour) in zip(ramp.color_ramp.elements, colours, strict=True):
        element.position, element.color = place, (*colour, 1.0)
    links.new(ramp.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])


def _brows(material: bpy.types.Material) -> None:
    """Darken the skin by the vertex attribute ``brow``."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    attribute, mix = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeMix")
    attribute.attribute_name = "brow"
    mix.data_type = "RGBA"
    links.new(shader.inputs["Base Color"].links[0].from_socket, mix.inputs["A"])
    mix.inputs["B"].default_value = (0.045, 0.022, 0.012, 1.0)
    links.new(attribute.outputs["Fac"], mix.inputs["Factor"])
    links.new(mix.outputs["Result"], shader.inputs["Base Color"])


def _block(
    scene: bpy.types.Scene, name: str, low: tuple[float, ...], high: tuple[float, ...], material: bpy.types.Material
) -> None:
    """An axis-aligned box between two corners."""
    low_, high_ = np.array(low), np.array(high)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (high_ - low_) + low_
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners.tolist(), [], faces)
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new(name, mesh))


def add_room(scene: bpy.types.Scene) -> None:
    """Floor at Z = 0, a back wall with skirting board and a picture, a window's light from the left, a faint fill."""
    floor, wall = _material("floor", (0.3, 0.18, 0.1), 0.45), _material("wall", (0.62, 0.60, 0.55), 0.9)
    _planks(floor)
    _mottle(wall, 1.3, 0.06, 0.15)
    trim, frame = _material("trim", (0.75, 0.74, 0.70), 0.5), _material("frame", (0.05, 0.04, 0.035), 0.4)
    canvas = _material("canvas", (0.55, 0.42, 0.18), 0.8)
    _blots(canvas)
    _block(scene, "floor", (-7, -6, -0.05), (7, 3.2, 0.0), floor)
    _block(scene, "wall", (-7, 2.6, 0.0), (7, 2.7, 4.0), wall)
    _block(scene, "side wall", (5.0, -6, 0.0), (5.1, 2.7, 4.0), wall)
    _block(scene, "skirting", (-7, 2.575, 0.0), (7, 2.6, 0.12), trim)
    _block(scene, "frame", (0.95, 2.57, 1.15), (1.95, 2.60, 1.85), frame)
    _block(scene, "picture", (0.99, 2.565, 1.19), (1.91, 2.58, 1.81), canvas)
    for name, place, look, size, power in (
        ("window", (-3.6, -2.6, 3.0), (0.1, 0.6, 0.8), 1.5, 330.0),
        ("fill", (3.4, -3.6, 2.6), (0.0, 0.5, 1.0), 3.0, 45.0),
    ):
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
        light.data.energy, light.data.size = power, size
        light.data.color = (1.0, 0.95, 0.88) if name == "window" else (0.85, 0.92, 1.0)
        z = np.array(place) - np.array(look)
        z /= np.linalg.norm(z)
        x = np.cross([0, 0, 1], z)
        x /= np.linalg.norm(x)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.stack([x, np.cross(z, x), z], 1), place
        light.matrix_world = matrix.T
        scene.collection.objects.link(light)
    world = bpy.data.worlds.new("sky")
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.75, 0.85, 1.0, 1.0)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.32
    scene.world = world


def add_garment(scene: bpy.types.Scene, garment: Garment, rest_m: Array, brow: Array) -> bpy.types.Mesh:
    """One part of the dressed body in its rest pose; returns the mesh whose vertices move with the frames.

    ``brow`` (G,) 0..1 is how much of an eyebrow each vertex is.
    """
    mesh = bpy.data.meshes.new(garment.name)
    faces = [tuple(p[:3]) if p[2] == p[3] else tuple(p) for p in garment.polygons.tolist()]
    mesh.from_pydata(rest_m.tolist(), [], faces)
    mesh.shade_smooth()
    rest = mesh.attributes.new("rest", "FLOAT_VECTOR", "POINT")
    rest.data.foreach_set("vector", np.asarray(rest_m, np.float32).ravel())
    mesh.attributes.new("brow", "FLOAT", "POINT").data.foreach_set("value", np.asarray(brow, np.float32))
    material = bpy.data.materials.get(garment.colour)
    if material is None:
        colour, roughness = COLOURS[garment.colour]
        material = _material(garment.colour, colour, roughness)
        shader = material.node_tree.nodes["Principled BSDF"]
        if garment.colour in ("skin", "lips"):
            shader.inputs["Subsurface Weight"].default_value = 0.05
            shader.inputs["Subsurface Scale"].default_value = 0.01
            _mottle(material, 22.0, 0.10, 0.0, "rest")
            _brows(material)
        if garment.colour == "hair":
            _mottle(material, 150.0, 0.5, 0.9, "rest")
        if garment.colour in ("shirt", "trousers"):
            _mottle(material, 16.0, 0.16, 0.35, "rest")
    mesh.materials.append(material)
    item = bpy.data.objects.new(garment.name, mesh)
    scene.collection.objects.link(item)
    if garment.name in FINE:
        item.modifiers.new("fine", "SUBSURF").render_levels = FINE[garment.name]
    if garment.name in ("shirt", "trousers"):
        thick = item.modifiers.new("thick", "SOLIDIFY")
        thick.thickness, thick.offset = 0.003, -1.0
    return mesh


def move(mesh: bpy.types.Mesh, points_m: Array) -> None:
    """Put the vertices of ``mesh`` to (G, 3) ``points_m``."""
    mesh.attributes["position"].data.foreach_set("vector", np.asarray(points_m, np.float32).ravel())
    mesh.update()


def hide(hidden: bool, names: list[str]) -> None:
    """Leave objects out of the picture, or show them again."""
    for name in names:
        bpy.data.objects[name].hide_render = hidden


def render(scene: bpy.types.Scene, path: Path, window: tuple[float, float, float, float] | None = None) -> None:
    """One still; ``window`` (left, right, bottom, top in 0..1 from the lower left) draws only that part."""
    scene.render.use_border = window is not None
    if window:
        render_ = scene.render
        render_.border_min_x, render_.border_max_x, render_.border_min_y, render_.border_max_y = window
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def encode(images: list[Path], movie: Path, width_px: int, height_px: int, fps: float, quality: str) -> None:
    """PNG files to an H.264 movie through Blender's own encoder."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    strips = scene.sequence_editor_create().strips
    strip = strips.new_image("frames", str(images[0]), 1, 1)
    for image in images[1:]:
        strip.elements.append(image.name)
    strip.frame_final_duration = len(images)
    scene.frame_start, scene.frame_end = 1, len(images)
    render_ = scene.render
    render_.resolution_x, render_.resolution_y, render_.fps = width_px, height_px, round(fps)
    scene.view_settings.view_transform = "Standard"  # the pictures are finished
    render_.image_settings.media_type = "VIDEO"
    render_.image_settings.file_format = "FFMPEG"
    render_.ffmpeg.format, render_.ffmpeg.codec, render_.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
    render_.ffmpeg.constant_rate_factor, render_.ffmpeg.ffmpeg_preset, render_.ffmpeg.gopsize = quality, "BEST", 48
    render_.filepath = str(movie)
    bpy.ops.render.render(animation=True)
