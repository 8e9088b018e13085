"""Libraries of the operating system that Blender, OpenCV and venv need and pip can't bring.  Debian names."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from .console import BuildError, CommandFailed, Step, run_logged
from .layout import LOGS

# What bpy 4.2 and 5.0, OpenCV's Qt and torch are linked to beyond a minimal Debian, and what holds it.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXext.so.6": "libxext6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
}
_EGL_VENDORS = ("/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d")
_MESA_DRIVERS = ("/usr/lib/*/dri/*_dri.so", "/usr/lib64/dri/*_dri.so", "/usr/lib/dri/*_dri.so")


def missing_packages() -> list[str]:
    """Debian packages that are needed and not there; empty on other systems than Linux."""
    if sys.platform != "linux":
        return []
    missing = [package for library, package in LIBRARIES.items() if not _loads(library)]
    if not _opengl_driver():
        missing.append("libgl1-mesa-dri")
    if importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")
    return missing


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _opengl_driver() -> bool:
    """Without one, Workbench and EEVEE abort the process: a vendor's own EGL, or Mesa's with its drivers."""
    vendors = [vendor.name for folder in _EGL_VENDORS for vendor in Path(folder).glob("*.json")]
    mesa = any(True for pattern in _MESA_DRIVERS for _ in Path("/").glob(pattern[1:]))
    return mesa or any("mesa" not in name for name in vendors)


def ensure_libraries() -> None:
    """Name what is missing, with the command that installs it; under CI as root, install it.

    Raises:
        BuildError: something is missing, and may not or could not be installed.
    """
    packages = missing_packages()
    if not packages:
        return
    sudo = "" if os.geteuid() == 0 else "sudo "
    command = f"{sudo}apt-get install {' '.join(packages)}"
    if not (os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get")):
        raise BuildError(f"Blender needs system libraries that are not here. Install them with: {command}")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-y", "--no-install-recommends"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with Step(f"Installing system libraries ({', '.join(packages)})"):
        try:
            run_logged([*apt, "update"], LOGS / "apt.log", env=environment)
            run_logged([*apt, "install", *packages], LOGS / "apt.log", env=environment)
        except CommandFailed as error:
            raise BuildError(f"System libraries could not be installed. Try by hand: {command}") from error
    if still := missing_packages():
        raise BuildError(f"System libraries are still missing. Install them with: apt-get install {' '.join(still)}")
