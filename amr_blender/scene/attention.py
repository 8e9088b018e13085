"""Where to look, on the rigged body: painted attributes, the frame's own by geometry nodes, how to show it.

That is the take's attention, or, where it has none, its uncertainty as a share of ``FULL_MM``.

Nothing of it is shown at first.  What is shown is told by the body itself (:func:`shown`), so that it holds after undo,
in a saved file, and where an animator has switched by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import SceneError
from ..contract.take import Take
from . import attention_nodes as nodes
from .attention_film import make_film, mean_and_max, scores_of, worst_moments
from .colour_map import colours
from .sampling import Motion

Array = NDArray[Any]

MODIFIER = "AMR Attention"
LAYERS = {"NOW": nodes.NOW, "MEAN": "AMR Attention Mean", "MAX": "AMR Attention Max", "PAINTED": "AMR Attention"}
"""Colour attribute of each way to show attention."""
UNCERTAINTY = "amr_uncertainty_mm"
FULL_MM = 400.0
"""Uncertainty that counts as 1."""
_ENDS = (2.0, 98.0)
"""Percentiles of a result's attention that get the ends of the colours: a network uses little of what lies between 0
and 1, and what is little and what is much is a question of one clip."""
_LEAST_RANGE = 0.02
_LOW, _HIGH, _IN_MM = "amr_attention_low", "amr_attention_high", "amr_attention_in_mm"
_OWN_MATERIAL = "amr_own_material_{}"


@dataclass(frozen=True)
class AttentionMade:
    """What the panel tells."""

    shown: bool = False
    """There is something to show."""
    error: float = 0.0
    """Largest difference of what a frame shows to the take, 0..1."""
    worst: tuple[tuple[int, float], ...] = ()
    """Scene frame and score of the worst moments, the worst first."""
    worst_in_mm: bool = False
    """The score is the mean expected error in mm; otherwise the mean attention."""


def add_attention(body: Any, take: Take, motion: Motion, name: str, fps: float) -> AttentionMade:
    """Write what the take knows of attention and uncertainty to ``body``; does nothing for a take without.

    Args:
        body: mesh object with the take's vertices and an armature modifier; the new modifier comes after that.
        name: of the result.
        fps: of the scene.
    """
    mesh, seen = body.data, take.present
    if take.uncertainty_mm is not None:
        _write_floats(mesh, UNCERTAINTY, mean_and_max(take.uncertainty_mm, seen)[0])
    error, look = 0.0, take.attention
    if look is None and take.uncertainty_mm is not None:
        look, body[_IN_MM] = np.minimum(take.uncertainty_mm / np.float16(FULL_MM), np.float16(1.0)), True
    if look is not None:
        mean, largest = mean_and_max(look, seen)
        body[_LOW], body[_HIGH] = _ends_of(look, seen)
        _write_colours(mesh, LAYERS["MEAN"], _coloured(body, mean))
        _write_colours(mesh, LAYERS["MAX"], _coloured(body, largest))
        error = _add_modifier(body, look, motion, name)
    unsure = take.attention if take.uncertainty_mm is None else take.uncertainty_mm
    if unsure is None:
        return AttentionMade()
    posed = np.isin(motion.camera_frames, motion.frames)
    scores = scores_of(unsure)[motion.between.nearest[posed]]
    return AttentionMade(
        shown=look is not None,
        error=error,
        worst=tuple(worst_moments(motion.frames, scores, fps)),
        worst_in_mm=take.uncertainty_mm is not None,
    )


def _add_modifier(body: Any, look: Array, motion: Motion, name: str) -> float:
    """The modifier, switched off, and the material, ready in the object's slot; returns the largest error."""
    film = make_film(look, motion.between)
    mesh = body.data
    vertex = mesh.attributes.new(nodes.VERTEX, "INT", "POINT")
    vertex.data.foreach_set("value", np.arange(len(mesh.vertices), dtype=np.int32))
    image = nodes.make_image(film, f"{name} Attention")
    modifier = body.modifiers.new(MODIFIER, "NODES")
    start = int(motion.camera_frames[0])
    modifier.node_group = nodes.make_group(image, film, start, coloured_range(body), f"{name} Attention")
    _switch(modifier, False)
    modifier.show_expanded = False
    mesh.color_attributes.active_color_name = LAYERS["MEAN"]
    mesh.attributes.default_color_name = LAYERS["NOW"]
    material = nodes.attention_material()
    for slot in body.material_slots:  # kept there while the mesh's own material is shown
        slot.link = "OBJECT"
        slot.material = material
        slot.link = "DATA"
    body["amr_attention_error"], body["amr_attention_frames_per_row"] = film.error, film.step
    return film.error


def coloured_range(body: Any) -> tuple[float, float]:
    """The attention that gets the first and the last of the colours."""
    return float(body.get(_LOW, 0.0)), float(body.get(_HIGH, 1.0))


def in_mm(body: Any) -> bool:
    """Whether what is shown is uncertainty, in units of ``FULL_MM``."""
    return bool(body.get(_IN_MM, False))


def _ends_of(attention: Array, seen: Array) -> tuple[float, float]:
    """Of (T, V) in the frames ``seen`` (T,); never nearly the same."""
    if not seen.any():
        return 0.0, 1.0
    low, high = np.percentile(attention[seen][:, ::8].astype(np.float32), _ENDS).tolist()
    more = max(_LEAST_RANGE - (high - low), 0.0) / 2
    return low - more, high + more


def _coloured(body: Any, values: Array) -> Array:
    """(V, 4) of (V,)."""
    low, high = coloured_range(body)
    return colours((values - low) / (high - low))


def _write_floats(mesh: Any, name: str, values: Array) -> None:
    attribute = mesh.attributes.new(name, "FLOAT", "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(values, np.float32))


def _write_colours(mesh: Any, name: str, linear: Array) -> None:
    """Write (V, 4) linear colours to a byte colour attribute, which is made where it is missing."""
    attribute = mesh.color_attributes.get(name) or mesh.color_attributes.new(name, "BYTE_COLOR", "POINT")
    if attribute.domain != "POINT":
        raise SceneError(
            "attention-domain",
            f"'{name}' is not a colour attribute of points.",
            "Rename or delete it under Object Data > Color Attributes.",
        )
    attribute.data.foreach_set("color", np.ascontiguousarray(linear, np.float32).reshape(-1))


# ------------------------------------------------------------------------------------------------------ show and hide


def modes(body: Any) -> list[str]:
    """Keys of ``LAYERS`` that can be shown on ``body``."""
    if body is None or body.type != "MESH":
        return []
    present = {attribute.name for attribute in body.data.color_attributes}
    if _modifier(body) is not None:
        present.add(nodes.NOW)
    return [mode for mode, name in LAYERS.items() if name in present]


def shown(body: Any) -> str:
    """Which of ``LAYERS`` is shown on ``body``; empty if none is."""
    if body is None or body.type != "MESH" or not any(_is_covered(slot) for slot in body.material_slots):
        return ""
    rendered = body.data.attributes.default_color_name
    return next((mode for mode, name in LAYERS.items() if name == rendered), "")


def show(body: Any, mode: str) -> None:
    """Show attention on ``body`` in viewport and render, or nothing of it if ``mode`` is empty.

    Raises:
        SceneError: the body has no such attention (any more).
    """
    if mode and mode not in modes(body):
        raise _gone(body)
    modifier = _modifier(body)
    if modifier is not None:
        _switch(modifier, mode == "NOW")
    if mode:
        mesh = body.data
        mesh.color_attributes.active_color_name = mesh.attributes.default_color_name = LAYERS[mode]
    for index, slot in enumerate(body.material_slots):
        (_cover if mode else _uncover)(body, index, slot)


def copy_current(context: Any, body: Any) -> None:
    """Copy the current frame's attention into the attribute for vertex paint, over what was there, and show that.

    Raises:
        SceneError: the body has no attention of frames, is being edited, or its vertices are not the take's any more.
    """
    modifier = _modifier(body)
    if modifier is None:
        raise _gone(body)
    if body.mode in {"EDIT", "SCULPT"}:
        raise SceneError(
            "attention-mode", f"'{body.name}' is in {body.mode.title()} Mode.", "Go to Object or Vertex Paint Mode."
        )
    _write_colours(body.data, LAYERS["PAINTED"], _coloured(body, _current(context, body, modifier)))
    body.data.update()
    show(body, "PAINTED")


def _current(context: Any, body: Any, modifier: Any) -> Array:
    """(V,) attention of the scene's current frame, as the modifier makes it; it is switched back afterwards."""
    before = modifier.show_viewport
    modifier.show_viewport = True
    try:
        mesh = body.evaluated_get(context.evaluated_depsgraph_get()).data
        attribute = mesh.attributes.get(nodes.VALUE)
        if attribute is None or len(mesh.vertices) != len(body.data.vertices):
            raise SceneError(
                "attention-changed",
                f"Another modifier of '{body.name}' changes its vertices, or the body is hidden.",
                f"Show it, and move modifiers that add or remove vertices below {MODIFIER}.",
            )
        values = np.empty(len(mesh.vertices), np.float32)
        attribute.data.foreach_get("value", values)
        return values
    finally:
        modifier.show_viewport = before


def _gone(body: Any) -> SceneError:
    return SceneError(
        "attention-gone",
        f"'{body.name}' has no such attention, or it was deleted.",
        "Undo what removed it, or import the take again.",
    )


def _modifier(body: Any) -> Any:
    """The modifier that shows the current frame, or None."""
    found = body.modifiers.get(MODIFIER)
    return found if found is not None and found.type == "NODES" and found.node_group else None


def _switch(modifier: Any, on: bool) -> None:
    modifier.show_viewport = modifier.show_render = on


def _is_covered(slot: Any) -> bool:
    return slot.link == "OBJECT" and slot.material is not None and slot.material.name.startswith(nodes.MATERIAL)


def _cover(body: Any, index: int, slot: Any) -> None:
    """The attention material in the object's own slot; the mesh keeps its material."""
    if _is_covered(slot):
        return
    if slot.link == "OBJECT" and slot.material is not None:
        body[_OWN_MATERIAL.format(index)] = slot.material  # the animator's
    slot.link = "OBJECT"
    slot.material = nodes.attention_material()


def _uncover(body: Any, index: int, slot: Any) -> None:
    if not _is_covered(slot):
        return
    own = body.pop(_OWN_MATERIAL.format(index), None)
    if own is None:
        slot.link = "DATA"
    else:
        slot.material = own
