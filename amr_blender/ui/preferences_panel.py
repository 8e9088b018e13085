"""What the add-on's preferences show.  Reads only."""

from pathlib import Path

import bpy

from .. import preferences
from ..bridge import cache, runtime
from ..contract.errors import AmrError
from . import gather, runtime_tasks, text
from .panels import lines

SMPL_LICENCE = "SMPL models are for non-commercial research unless you hold a licence."


def draw(settings, context, layout):
    _draw_python(settings, context, layout.box())
    _draw_body(settings, context, layout.box())
    _draw_computing(settings, layout.box())


def _draw_python(settings, context, box):
    box.label(text="Python of the Worker", icon="CONSOLE")
    box.row().prop(settings, "python_mode", expand=True)
    if settings.python_mode == "EXISTING":
        box.prop(settings, "existing_python", text="")
    elif (state := runtime_tasks.installing()) is not None:
        box.progress(factor=state.fraction, text=f"{state.text}  {state.fraction:.0%}")
        box.operator("amr.cancel_install", icon="CANCEL")
        return
    elif python := runtime.checkout_python(preferences.FOLDER):
        box.label(text=f"The checkout's own: {python}")
    else:
        _draw_install(settings, context, box)
    _draw_answer(context, box)


def _draw_install(settings, context, box):
    folder = preferences.runtime_folder()
    if runtime.installed_python(folder):
        row = box.row()
        row.label(text=f"Installed in {folder}")
        row.operator("amr.remove_runtime", icon="TRASH")
        return
    half = runtime.half_installed(folder)
    lines(
        box,
        context,
        "The installation was not completed; it goes on where it stopped."
        if half
        else f"Not installed. Installing downloads torch, numpy and OpenCV into {folder}; nothing else is touched.",
        icon="INFO",
    )
    box.prop(settings, "install_device")
    row = box.row()
    row.scale_y = 1.4
    row.operator("amr.install_runtime", icon="IMPORT", text="Resume Installation" if half else "Install Runtime")
    if half:
        row.operator("amr.remove_runtime", icon="TRASH")
    if not bpy.app.online_access:
        lines(box, context, "Allow online access in Preferences > System > Network to install.", icon="ERROR")
    last = runtime_tasks.last_installation()
    if last and last.error:
        _draw_error(context, box, last.error)


def _draw_answer(context, box):
    """Which versions the chosen Python has, if it was asked."""
    try:
        python = preferences.worker_python()
    except AmrError as error:
        if preferences.get().python_mode == "EXISTING" and preferences.get().existing_python:
            _draw_error(context, box, error)
        return
    answer = runtime_tasks.answer(python)
    row = box.row()
    if runtime_tasks.checking(python):
        row.label(text="Asking it for its versions...", icon="SORTTIME")
    elif isinstance(answer, runtime.Report):
        row.label(text=answer.sentence(), icon="CHECKMARK")
    elif answer is None:
        row.label(text="Not checked in this session")
    else:
        _draw_error(context, box, answer)
    right = row.row()
    right.alignment = "RIGHT"
    right.operator("amr.check_python", icon="FILE_REFRESH")


def _draw_error(context, box, error):
    lines(box, context, error.message, icon="ERROR", alert=True)
    lines(box, context, error.remedy, icon="BLANK1")


def _draw_body(settings, context, box):
    box.label(text="Body", icon="OUTLINER_OB_ARMATURE")
    box.row().prop(settings, "body", expand=True)
    if settings.body == "SMPL":
        box.prop(settings, "body_file", text="")
        lines(box, context, SMPL_LICENCE, icon="INFO")


def _draw_computing(settings, box):
    box.label(text="Computing", icon="PREFERENCES")
    column = box.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(settings, "device")
    column.prop(settings, "cache_folder", text="Cache Folder")
    row = box.row()
    size = runtime_tasks.remembered_size(preferences.cache_folder(), _cache_bytes)
    row.label(text=f"The cache holds {text.size(size)}")
    row.operator("amr.clear_cache", icon="TRASH")


def _cache_bytes(folder: Path) -> int:
    own = sum(_folder_bytes(folder / name) for name in gather.OWN_FOLDERS)
    return own + cache.cache_size(folder).size_bytes


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
