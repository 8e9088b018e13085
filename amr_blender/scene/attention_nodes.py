"""Geometry nodes that colour the current frame's attention, and the material that shows it: Blender's own nodes only,
so that a file plays, renders and exports without the add-on.

Nodes of Blender 4.2 that are in every later one; what a result needs (picture, first frame) stands in its own group, so
that no version's way of setting a modifier's inputs matters.
"""

from __future__ import annotations

from typing import Any

import bpy

from .attention_film import Film
from .colour_map import stops

VERTEX = "amr_vertex"
"""Number of the vertex in the take: survives edits that renumber the mesh."""
VALUE = "amr_attention"
NOW = "AMR Attention Now"
MATERIAL = "AMR Attention"
_EDGES = 0.8
"""How much darker the material is where the surface turns away."""


def make_image(film: Film, name: str) -> Any:
    """The film as a picture that lies in the .blend file."""
    height, width = film.rows.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=False, float_buffer=False, is_data=True)
    image.pixels.foreach_set(film.pixels())
    image.update()
    image.pack()
    image.buffers_free()  # read again when first shown
    return image


def make_group(image: Any, film: Film, frame_start: int, ends: tuple[float, float], name: str) -> Any:
    """A node group for a modifier: writes ``VALUE`` and the colour ``NOW`` on every point, by scene time.

    ``ends`` are the values that get the first and the last colour.

    Its input Start Frame is the scene frame of the film's first row: move it along when the keys are moved.
    """
    group = bpy.data.node_groups.new(name, "GeometryNodeTree")
    group.is_modifier = True
    socket = group.interface.new_socket
    socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    start = socket("Start Frame", in_out="INPUT", socket_type="NodeSocketFloat")
    start.default_value = float(frame_start)
    start.description = "Scene frame on which the attention begins. Change it when you move the result's keys"
    socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    add = _Builder(group)
    inputs, outputs = add("NodeGroupInput"), add("NodeGroupOutput")
    colour, channel = _film_pixel(add, inputs.outputs["Start Frame"], image, film)
    parts = add("FunctionNodeSeparateColor", {0: colour})
    # Nearer to 1 than to 0 or 2: a channel's number went through floating point.
    first = add.math("LESS_THAN", channel, 0.5)
    last = add.math("GREATER_THAN", channel, 1.5)
    value = parts.outputs[1]
    for condition, other in ((first, parts.outputs[0]), (last, parts.outputs[2])):
        value = add("GeometryNodeSwitch", {"Switch": condition, "False": value, "True": other}, input_type="FLOAT")
        value = value.outputs[0]
    geometry = inputs.outputs["Geometry"]
    geometry = _stored(add, geometry, VALUE, "FLOAT", value)
    above = add.math("SUBTRACT", value, ends[0])
    geometry = _stored(add, geometry, NOW, "BYTE_COLOR", _ramp(add, add.math("DIVIDE", above, ends[1] - ends[0])))
    add.link(geometry, outputs.inputs[0])
    add.tidy()
    return group


def _film_pixel(add: _Builder, start_frame: Any, image: Any, film: Film) -> tuple[Any, Any]:
    """Sockets of the pixel's colour, mixed between rows, and of the channel's number 0, 1 or 2."""
    height, width = film.rows.shape[:2]
    time = add("GeometryNodeInputSceneTime")
    row = add.math("DIVIDE", add.math("SUBTRACT", time.outputs["Frame"], start_frame), film.step)
    row = add.math("MINIMUM", add.math("MAXIMUM", row, 0.0), height - 1.0)  # outside the clip its ends are held
    vertex = add("GeometryNodeInputNamedAttribute", {"Name": VERTEX}, data_type="INT").outputs["Attribute"]
    pixel = add.math("FLOOR", add.math("DIVIDE", add.math("ADD", vertex, 0.5), 3.0))
    channel = add.math("SUBTRACT", vertex, add.math("MULTIPLY", pixel, 3.0))
    where = add(
        "ShaderNodeCombineXYZ",
        {
            "X": add.math("DIVIDE", add.math("ADD", pixel, 0.5), float(width)),
            "Y": add.math("DIVIDE", add.math("ADD", row, 0.5), float(height)),
        },
    )
    picture = add("GeometryNodeImageTexture", {"Vector": where.outputs[0]}, interpolation="Linear", extension="EXTEND")
    picture.inputs["Image"].default_value = image
    return picture.outputs["Color"], channel


def _ramp(add: _Builder, value: Any) -> Any:
    node = add("ShaderNodeValToRGB", {0: value})
    ramp, colours = node.color_ramp, stops().tolist()
    while len(ramp.elements) < len(colours):
        ramp.elements.new(1.0)
    for index, (element, colour) in enumerate(zip(ramp.elements, colours, strict=True)):
        element.position, element.color = index / (len(colours) - 1), (*colour, 1.0)
    return node.outputs["Color"]


def _stored(add: _Builder, geometry: Any, name: str, kind: str, value: Any) -> Any:
    wanted = {"Geometry": geometry, "Name": name, "Value": value}
    return add("GeometryNodeStoreNamedAttribute", wanted, data_type=kind, domain="POINT").outputs[0]


def attention_material() -> Any:
    """The material that all results share: it glows in the colours that the mesh renders, whatever the light.

    It names no attribute, so it shows the one that is chosen for rendering: now, mean, maximum, or a painted one.
    """
    material = bpy.data.materials.get(MATERIAL)
    if material is not None:
        return material
    material = bpy.data.materials.new(MATERIAL)
    if material.node_tree is None:
        material.use_nodes = True  # on from the start in Blender 5
    tree = material.node_tree
    tree.nodes.clear()
    add = _Builder(tree)
    colour = add("ShaderNodeVertexColor").outputs["Color"]
    # Lights would bend the colours that the legend explains: darkened edges show the shape instead.
    facing = add("ShaderNodeLayerWeight", {"Blend": 0.5}).outputs["Facing"]
    strength = add.math("SUBTRACT", 1.0, add.math("MULTIPLY", facing, _EDGES))
    glow = add("ShaderNodeEmission", {"Color": colour, "Strength": strength}).outputs[0]
    add("ShaderNodeOutputMaterial", {"Surface": glow})
    add.tidy()
    return material


class _Builder:
    """Adds nodes to a tree, each with its inputs linked or set."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree

    def __call__(self, kind: str, inputs: dict[str | int, Any] | None = None, **settings: Any) -> Any:
        node = self._tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            socket = node.inputs[key] if isinstance(key, int) else _named(node.inputs, key)
            if isinstance(value, bpy.types.NodeSocket):
                self.link(value, socket)
            else:
                socket.default_value = value
        return node

    def math(self, operation: str, *values: Any) -> Any:
        return self("ShaderNodeMath", dict(enumerate(values)), operation=operation).outputs[0]

    def link(self, source: Any, target: Any) -> None:
        self._tree.links.new(source, target)

    def tidy(self) -> None:
        """Lay the nodes out from left to right by how far each is from the end."""
        depth = {node.name: 0 for node in self._tree.nodes}
        for _ in depth:
            for link in self._tree.links:
                before, after = link.from_node.name, link.to_node.name
                depth[before] = max(depth[before], depth[after] + 1)
        rows: dict[int, int] = {}
        for node in self._tree.nodes:
            column = depth[node.name]
            node.location = (-220.0 * column, -180.0 * rows.get(column, 0))
            rows[column] = rows.get(column, 0) + 1


def _named(inputs: Any, name: str) -> Any:
    """The socket in use: old Blenders keep one of each type under the same name and hide all but one."""
    return next(socket for socket in inputs if socket.name == name and socket.enabled)
