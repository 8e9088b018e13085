"""A real Blender in a window of its own: Debian's Blender in a root of its own, Xvfb, clicks by xdotool.

Nothing is left mounted or running: the whole session lives in private mount and process namespaces.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZE = (1600, 1000)

# $1 root; $2 folder that root and host share, as seen inside; $3 where more shared libraries lie; then host paths to
# show inside, read-only and at the same place; then -- and the command.
_SESSION = r"""
set -eu
root=$1 share=$2 libraries=$3; shift 3
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$(dirname "$root$1")"; [ -e "$root$1" ] || : > "$root$1"; fi
  mount --bind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"
  shift
done
shift
exec chroot "$root" /usr/bin/env -i HOME="$share/home" PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
  XDG_CACHE_HOME="$share/home/.cache" BLENDER_USER_RESOURCES="$share/user" REMOTE_DIR="$share" \
  TMPDIR="$share/tmp" LIBGL_ALWAYS_SOFTWARE=1 LD_LIBRARY_PATH="$libraries" "$@"
"""
_START_BLENDER = r"""
Xvfb -displayfd 3 -screen 0 %dx%dx24 -nolisten tcp 3> "$REMOTE_DIR/display" 2> "$REMOTE_DIR/xvfb.log" &
while [ ! -s "$REMOTE_DIR/display" ]; do sleep 0.1; done
export DISPLAY=:$(cat "$REMOTE_DIR/display")
exec blender -p 0 0 %d %d --python "$REMOTE_DIR/remote.py" > "$REMOTE_DIR/blender.log" 2>&1
"""


def why_impossible(root: Path) -> str:
    """Why no window can be opened on this machine; empty if one can."""
    if os.geteuid() != 0:
        return "a window needs root, to enter its file system"
    if not (root / "usr/bin/blender").exists():
        return f"there is no root with Blender at {root}: make it with 'tests/window/make_root.sh {root}'"
    probe = subprocess.run(
        ["unshare", "-m", "-p", "-f", "bash", "-c", 'mount --make-rprivate / && chroot "$0" /bin/true', str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"this machine forbids private mounts ({probe.stderr.strip()})" if probe.returncode else ""


def python_places(python: Path) -> list[Path]:
    """Host paths that make ``python``, the interpreter of a venv, run inside the root.

    The test itself runs in that venv, so its own ``sysconfig`` knows where the base installation lies.
    """
    base = Path(sys.base_prefix)
    if base != Path("/usr"):
        return [python.parent.parent, base]
    library = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("INSTSONAME"))
    wanted = [python.parent.parent, python.resolve(), Path(sysconfig.get_path("stdlib")), library]
    return [path for path in wanted if path.exists()]


def python_libraries() -> str:
    """Folder of this Python's shared library, where the root's linker would not look for it; often empty."""
    folder, name = Path(sysconfig.get_config_var("LIBDIR")), str(sysconfig.get_config_var("INSTSONAME"))
    shared = ".so" in name and (folder / name).is_file() and "/usr/lib" not in str(folder)
    return str(folder) if shared else ""


class BlenderWindow:
    """One Blender with a fresh user folder.  Use as a context manager."""

    def __init__(self, root: Path, show: list[Path]) -> None:
        self.root, self._show = root, show
        self.folder = Path(tempfile.mkdtemp(prefix="amr-window-", dir=root / "tmp"))
        """Shared with the inside, where it is :attr:`inside`."""
        self.inside = "/" + str(self.folder.relative_to(root))
        self._session: subprocess.Popen[bytes] | None = None
        for name in ("home", "user", "tmp"):
            (self.folder / name).mkdir()
        shutil.copy(HERE / "remote.py", self.folder)

    def __enter__(self) -> BlenderWindow:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session:
            self._session.kill()  # unshare --kill-child: everything inside goes with it
            self._session.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def share(self, path: Path) -> str:
        """Copy a file into the root; returns its path there."""
        shutil.copy(path, self.folder)
        return f"{self.inside}/{path.name}"

    def _command(self, *command: str) -> list[str]:
        places = [str(path) for path in self._show]
        enter = ["unshare", "-m", "-p", "-f", "--kill-child", "bash", "-c", _SESSION, "session"]
        return [*enter, str(self.root), self.inside, python_libraries(), *places, "--", *command]

    def command_line(self, *arguments: str) -> str:
        """Run ``blender ARGUMENTS`` without a window; returns what it printed."""
        done = subprocess.run(
            self._command("blender", *arguments), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"blender {shlex.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def open(self, wait_s: float = 120.0) -> None:
        """Open the window and wait for its first sign of life."""
        script = _START_BLENDER % (*SIZE, *SIZE)
        self._session = subprocess.Popen(self._command("bash", "-c", script), stdin=subprocess.DEVNULL)
        self.run("out = bpy.app.version_string", wait_s)

    def run(self, source: str, wait_s: float = 60.0) -> object:
        """Run Python inside; returns what it assigned to ``out``."""
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        partial = self.folder / "command.partial"
        partial.write_text(source)
        partial.rename(self.folder / "command.py")
        end = time.monotonic() + wait_s
        while not answer.exists():
            assert self._session and self._session.poll() is None, f"Blender has ended:\n{self.log()}"
            assert time.monotonic() < end, f"Blender did not answer in {wait_s:.0f} s to:\n{source}\n{self.log()}"
            time.sleep(0.02)
        data = json.loads(answer.read_text())
        answer.unlink()
        assert data["ok"], data["out"]
        return data["out"]

    def wait_for(self, expression: str, wait_s: float) -> object:
        """Poll ``expression`` inside until it is true."""
        end = time.monotonic() + wait_s
        while not (value := self.run(f"out = {expression}")):
            assert time.monotonic() < end, f"still not after {wait_s:.0f} s: {expression}\n{self.log()}"
            time.sleep(0.2)
        return value

    def log(self) -> str:
        path = self.folder / "blender.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def _on_display(self, *command: str) -> None:
        display = ":" + (self.folder / "display").read_text().strip()
        inside = ["chroot", str(self.root), "/usr/bin/env", f"DISPLAY={display}", *command]
        subprocess.run(inside, check=True, capture_output=True, timeout=60)

    def move(self, x: int, y: int) -> None:
        """Move the mouse; ``y`` counts from the top of the screen."""
        self._on_display("xdotool", "mousemove", str(x - 2), str(y), "mousemove", str(x), str(y))
        time.sleep(0.15)

    def click(self, x: int, y: int, button: int = 1) -> None:
        self.move(x, y)
        self._on_display("xdotool", "click", str(button))
        time.sleep(0.2)

    def key(self, name: str) -> None:
        self._on_display("xdotool", "key", name)
        time.sleep(0.2)

    def screenshot(self, path: Path) -> None:
        """Picture of the whole screen, for people to look at."""
        time.sleep(0.6)  # a redraw in software takes half a second
        self._on_display("import", "-window", "root", f"{self.inside}/shot.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.folder / "shot.png", path)

    def find_button(self, operator: str, x: int, y_top: int, y_bottom: int, step: int = 8) -> tuple[int, int]:
        """Where the button of ``operator`` (``amr.reconstruct``) is, looked for down a column of the screen.

        Blender itself says which operator lies under the mouse, so nothing depends on pixels of the layout.
        """
        hits = []
        for y in range(y_top, y_bottom, step):
            self.move(x, y)
            if operator in str(self.run(_OPERATOR_UNDER_MOUSE)):
                hits.append(y)
            elif hits:
                break
        assert hits, f"no button '{operator}' at x = {x}, y = {y_top} to {y_bottom}"
        return x, hits[len(hits) // 2]


_OPERATOR_UNDER_MOUSE = """
wm = bpy.context.window_manager
wm.clipboard = ""
out = ""
window, area, region = sidebar()
with bpy.context.temp_override(window=window, area=area, region=region):
    if bpy.ops.ui.copy_python_command_button.poll():
        bpy.ops.ui.copy_python_command_button()
out = wm.clipboard
"""
