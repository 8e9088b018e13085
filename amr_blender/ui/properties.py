"""What a scene remembers: the settings of the next job, the people found, the results so far."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

QUALITY_ITEMS = (
    ("draft", "Draft", "The network alone, without the fit: a quick look at whether the clip works"),
    ("standard", "Standard", "The right choice for most clips"),
    ("best", "Best", "More steps of fitting: slower, a little closer to the footage"),
)


class AMR_PG_person(bpy.types.PropertyGroup):
    """Somebody that was found in the footage."""

    index: IntProperty(name="Number", min=0)
    share: FloatProperty(
        name="Share", description="Part of the picture that this person fills, over the whole clip", subtype="FACTOR"
    )
    frame_start: IntProperty(name="First Frame")
    frame_end: IntProperty(name="End", description="One past the last frame")
    thumbnail: StringProperty(name="Picture", subtype="FILE_PATH")


class AMR_PG_moment(bpy.types.PropertyGroup):
    """A frame on which the network was unsure."""

    frame: IntProperty(name="Frame")
    score: FloatProperty(description="Mean expected error in mm, or mean attention")


class AMR_PG_result(bpy.types.PropertyGroup):
    """One result: the names of what was made, and what the animator should know about it."""

    # The inherited `name` is shown in the list.
    collection: StringProperty()
    armature: StringProperty()
    mesh: StringProperty()
    baked: StringProperty()
    camera: StringProperty()
    frame_start: IntProperty(description="First keyed frame of the scene")
    frame_end: IntProperty(description="Last keyed frame of the scene")
    frames: IntProperty(description="Source frames in the take")
    frames_seen: IntProperty(description="Source frames on which the person was seen")
    frames_filled: IntProperty(description="Keyed scene frames on which nobody was seen")
    frames_empty: StringProperty(description="Scene frames without keys, for nobody was seen there; one stretch a line")
    baked_keys: IntProperty()
    baked_error_mm: FloatProperty()
    refinement_keys: IntProperty(description="Corrective shape keys of the rigged body")
    refinement_error_mm: FloatProperty(description="By which a vertex may be off for there being so few")
    has_attention: BoolProperty()
    attention_error: FloatProperty(description="Largest difference of what is shown to what the network said, 0 to 1")
    worst: CollectionProperty(type=AMR_PG_moment)
    worst_in_mm: BoolProperty()
    height_m: FloatProperty()
    height_given: BoolProperty()
    lens_mm: FloatProperty()
    lens_low_mm: FloatProperty(description="The real lens is probably no shorter; 0 if that was not estimated")
    lens_high_mm: FloatProperty(description="The real lens is probably no longer; 0 if that was not estimated")
    focal_source: StringProperty()
    looks_down_deg: FloatProperty()
    rolled_deg: FloatProperty(description="Clockwise")
    warnings: StringProperty(description="One a line")
    take: StringProperty(subtype="FILE_PATH")


class AMR_PG_settings(bpy.types.PropertyGroup):
    """``scene.amr``."""

    strip_name: StringProperty(
        name="Strip",
        description="The movie or image strip to reconstruct. Empty: the active strip of the sequencer",
    )
    people: CollectionProperty(type=AMR_PG_person)
    people_footage: StringProperty(description="The footage that the people were found in")
    person: IntProperty(name="Person", description="Number of the person; -1 for the one who fills most", default=-1)
    use_height: BoolProperty(
        name="Give Actor Height",
        description="Say how tall the actor is. Sets the size of everything; otherwise an average height is assumed",
        default=False,
    )
    height_m: FloatProperty(
        name="Actor Height",
        description="Height of the actor without shoes",
        default=1.75,
        min=0.4,
        max=2.6,
        step=1,
        precision=2,
        subtype="DISTANCE",
        unit="LENGTH",
    )
    use_lens: BoolProperty(
        name="Give Lens",
        description="Say which lens filmed the clip; otherwise it is read from the file or guessed",
        default=False,
    )
    lens_mm: FloatProperty(
        name="Lens",
        description="Focal length as on a full-frame camera: 36 mm span the longer side of the picture",
        default=35.0,
        min=5.0,
        max=2000.0,
        subtype="DISTANCE_CAMERA",
    )
    quality: EnumProperty(
        name="Quality", description="How much computing the fit may take", items=QUALITY_ITEMS, default="standard"
    )
    use_baked: BoolProperty(
        name="Baked Copy",
        description="Also make a hidden copy that moves by shape keys alone, without bones",
        default=True,
    )
    baked_max_error_mm: FloatProperty(
        name="Max Vertex Error",
        description="Millimetres by which a vertex of the baked copy may be off; smaller makes more shape keys",
        default=5.0,
        min=0.1,
        max=100.0,
        soft_max=20.0,
        step=50,
        precision=1,
    )
    results: CollectionProperty(type=AMR_PG_result)
    active_result: IntProperty(name="Result")


CLASSES = (AMR_PG_person, AMR_PG_moment, AMR_PG_result, AMR_PG_settings)
