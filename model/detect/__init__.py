"""People in footage: who is there, and each person's landmarks over time, by BlazePose's networks in torch."""

from model.detect.background import Background
from model.detect.camera_motion import CameraMotion, CameraWatch
from model.detect.camera_path import follow_camera
from model.detect.landmarks import Landmarks
from model.detect.networks import Networks
from model.detect.people import Person, find_people
from model.detect.scene_lines import SceneLines, SceneWatch
from model.detect.tracking import track_landmarks

__all__ = [
    "Background",
    "CameraMotion",
    "CameraWatch",
    "Landmarks",
    "Networks",
    "Person",
    "SceneLines",
    "SceneWatch",
    "find_people",
    "follow_camera",
    "track_landmarks",
]
