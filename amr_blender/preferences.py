"""The add-on's preferences: where the worker's Python comes from, what it computes on, where it keeps its files."""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from .bridge import runtime
from .contract.errors import RuntimeSetupError, SettingsError

PACKAGE = __package__
"""``amr_blender`` in a checkout, ``bl_ext.REPOSITORY.amr_blender`` when installed."""
FOLDER = Path(__file__).resolve().parent

PYTHON_MODES = (
    ("AUTO", "Own Runtime", "Use the runtime that the add-on installs, or the .venv of the checkout it runs from"),
    ("EXISTING", "Use Existing Python", "Use a Python that already holds torch, numpy, opencv-python and safetensors"),
)
DEVICES = (
    ("auto", "Automatic", "The graphics card if torch can use it, otherwise the processor"),
    ("cpu", "CPU", "The processor"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
    ("mps", "Metal", "The graphics processor of a Mac"),
)
INSTALL_DEVICES = (
    ("auto", "Automatic", "What fits this machine"),
    ("cpu", "CPU", "Runs everywhere; about 0.3 GB to download"),
    ("cuda", "NVIDIA (CUDA)", "For NVIDIA graphics cards; about 3 GB to download"),
    ("mps", "Apple (Metal)", "For Macs with Apple silicon; about 0.2 GB to download"),
)
BODIES = (
    ("ANNY", "Anny", "The free body that comes with the add-on: all ages and builds"),
    ("SMPL", "SMPL Family", "SMPL, SMPL-H or SMPL-X, from a model file of your own"),
)


@dataclass(frozen=True)
class Defaults:
    """What counts while the add-on runs from a checkout and has no entry in Blender's preferences."""

    python_mode: str = "AUTO"
    existing_python: str = ""
    device: str = "auto"
    install_device: str = "auto"
    body: str = "ANNY"
    body_file: str = ""
    cache_folder: str = ""


def get():
    """The animator's preferences, or :class:`Defaults`."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon and addon.preferences else Defaults()


# ------------------------------------------------------------------------------------------------------- folders


def user_folder() -> Path:
    """The add-on's own folder for everything it writes; not created by asking."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE))
    except ValueError:  # not installed as an extension
        return _user_cache_root() / "amr_blender"


def _user_cache_root() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or tempfile.gettempdir())
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cache_folder() -> Path:
    """Where results and pictures of people are kept; the animator may choose it."""
    chosen = get().cache_folder
    return Path(bpy.path.abspath(chosen)) if chosen else user_folder() / "cache"


def writable(folder: Path) -> Path:
    """``folder``, made if need be.

    Raises:
        SettingsError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise SettingsError(
            "cache-unwritable",
            f"Nothing can be written to {folder}: {error.strerror or error}.",
            "Free some space, or choose another cache folder in the add-on's preferences.",
        ) from error


def runtime_folder() -> Path:
    """Where 'Install Runtime' makes its environment: one per Python version, as Blender's changes with Blender."""
    return user_folder() / f"runtime-py{sys.version_info[0]}{sys.version_info[1]}"


def body_file() -> str:
    """The animator's own body model, empty for Anny.

    Raises:
        SettingsError: the SMPL family is chosen, but no file of it.
    """
    preferences = get()
    if preferences.body != "SMPL":
        return ""
    path = Path(bpy.path.abspath(preferences.body_file))
    if preferences.body_file and path.is_file():
        return str(path)
    raise SettingsError(
        "body-file-missing",
        f"There is no body model at '{preferences.body_file}'.",
        "Choose an SMPL, SMPL-H or SMPL-X file, or the body Anny, in the add-on's preferences.",
    )


# -------------------------------------------------------------------------------------------------------- Python


def worker_python() -> Path:
    """The Python that the worker runs with.

    Raises:
        RuntimeSetupError: there is none yet.
    """
    preferences = get()
    if preferences.python_mode == "EXISTING":
        chosen = Path(bpy.path.abspath(preferences.existing_python))
        if preferences.existing_python and chosen.is_file():
            return chosen
        raise RuntimeSetupError(
            "runtime-missing",
            f"There is no Python at '{preferences.existing_python}'.",
            "Choose another one in the add-on's preferences.",
        )
    python = runtime.checkout_python(FOLDER) or runtime.installed_python(runtime_folder())
    if python is None:
        raise RuntimeSetupError(
            "runtime-missing",
            "The runtime that does the computing is not installed yet.",
            "Press Install Runtime in the add-on's preferences.",
        )
    return python


def blender_python() -> Path:
    """Blender's own Python executable."""
    return Path(sys.executable)


def _check_existing(preferences, _context):
    from .ui import runtime_tasks

    if preferences.existing_python:
        runtime_tasks.check(Path(bpy.path.abspath(preferences.existing_python)))


class AMR_AP_preferences(bpy.types.AddonPreferences):
    """Where the worker's Python comes from, what it computes on, where files are kept."""

    bl_idname = PACKAGE

    python_mode: EnumProperty(
        name="Python", description="Where the Python with torch comes from", items=PYTHON_MODES, default="AUTO"
    )
    existing_python: StringProperty(
        name="Python",
        description="The python executable of an environment that holds torch, numpy, opencv-python and safetensors",
        subtype="FILE_PATH",
        update=_check_existing,
    )
    install_device: EnumProperty(
        name="Install For", description="What the runtime shall compute on", items=INSTALL_DEVICES, default="auto"
    )
    device: EnumProperty(name="Compute On", description="What the worker computes on", items=DEVICES, default="auto")
    body: EnumProperty(name="Body", description="Whose mesh and rig a result gets", items=BODIES, default="ANNY")
    body_file: StringProperty(
        name="Model File",
        description="Your SMPL, SMPL-H or SMPL-X model as its makers distribute it (.pkl or .npz)",
        subtype="FILE_PATH",
    )
    cache_folder: StringProperty(
        name="Folder",
        description="Where results are kept so that the same clip need not be computed twice. Empty: the add-on's own",
        subtype="DIR_PATH",
    )

    def draw(self, context):
        from .ui import preferences_panel

        preferences_panel.draw(self, context, self.layout)


def register():
    bpy.utils.register_class(AMR_AP_preferences)


def unregister():
    bpy.utils.unregister_class(AMR_AP_preferences)
