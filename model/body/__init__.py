"""The parametric body: shape, pose, skin, its Blender rig, and where BlazePose sees its landmarks."""

from .anny import AnnyBody, RestBody
from .skinning import Kinematics, skin

__all__ = ["AnnyBody", "Kinematics", "RestBody", "skin"]
