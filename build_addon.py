#!/usr/bin/env python3.11
"""Set up, try, test and package the add-on.  Needs Python 3.11 and nothing else.

python3.11 build_addon.py setup                    the environment in .venv, the networks and the body in build/assets
python3.11 build_addon.py demo [VIDEO] [--out DIR]  the whole job inside Blender, on VIDEO or on the project's own clip
python3.11 build_addon.py test [PYTEST ARGUMENTS]  all tests, on Blender 5.0 and the scene's on 4.2 too
python3.11 build_addon.py package                  dist/amr_blender-VERSION.zip, to install in Blender

demo, test and package do the set-up if need be.  What is there already is not made again.
"""

from __future__ import annotations

import sys

if sys.version_info[:2] != (3, 11):
    sys.exit(
        "This needs Python 3.11, because Blender's Python module (bpy 5.0.1) exists for that version alone: "
        "python3.11 build_addon.py ..."
    )

import argparse
import subprocess
from pathlib import Path

from buildtools import assets, package
from buildtools.console import BuildError, say
from buildtools.environment import BPY42, TEST, child_environment
from buildtools.layout import ASSETS, BUILD, DEMO_CLIP, ROOT, shown
from buildtools.system import ensure_libraries

NO_TESTS = 5
"""pytest's exit code for: nothing matched the arguments."""


def setup(for_tests: bool = False) -> None:
    """Whatever is missing for the other commands; ``for_tests``: the old Blender too."""
    ensure_libraries()
    for environment in (TEST, BPY42) if for_tests else (TEST,):
        environment.ensure()
    for asset in assets.ALL:
        asset.ensure()


def demo(video: Path, out: Path) -> int:
    """Footage to a keyed armature and mesh, through the add-on's own operator in real Blender."""
    if not video.is_file():
        raise BuildError(f"There is no video at {video}. Give the path of a movie.")
    setup()
    script = ROOT / "buildtools" / "demo_in_blender.py"
    command = [str(TEST.python), str(script), str(video.resolve()), str(out.resolve())]
    return subprocess.run(command, env=child_environment()).returncode


def test(arguments: list[str]) -> int:
    """pytest on Blender 5.0, then the scene tests on Blender 4.2; non-zero if either fails."""
    setup(for_tests=True)
    say(f"\nTests on Blender 5.0 ({shown(TEST.folder)})")
    code = _pytest(TEST.python, arguments)
    paths = [a for a in arguments if (ROOT / a.split("::")[0]).exists() and not a.startswith("-")]
    scene = [a for a in paths if a.startswith("tests/scene")]
    if paths and not scene:
        return code
    say(f"\nScene tests on Blender 4.2 ({shown(BPY42.folder)})")
    old_code = _pytest(BPY42.python, [a for a in arguments if a not in paths] + (scene or ["tests/scene"]))
    codes = {code, old_code} - {0}
    if codes == {NO_TESTS} and code != old_code:
        return 0  # the arguments chose tests of one of the two alone
    return max(codes, default=0)


def _pytest(python: Path, arguments: list[str]) -> int:
    return subprocess.run([str(python), "-m", "pytest", *arguments], cwd=ROOT, env=child_environment()).returncode


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the environment, the networks and the body")
    demo_parser = commands.add_parser("demo", help="the whole job inside Blender")
    demo_parser.add_argument("video", nargs="?", type=Path, default=DEMO_CLIP, help="a movie; default: our own clip")
    demo_parser.add_argument("--out", type=Path, default=BUILD / "demo", metavar="DIR", help="default: build/demo")
    commands.add_parser("test", help="all tests; further arguments go to pytest")
    commands.add_parser("package", help="the zip to install")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unknown argument: {rest[0]}")
    try:
        if options.command == "demo":
            return demo(options.video, options.out)
        if options.command == "test":
            return test(arguments[arguments.index("test") + 1 :])
        setup()
        if options.command == "package":
            path = package.build()
            say(f"{shown(path)}, {path.stat().st_size / 1e6:.1f} MB, accepted by Blender's validation.")
        else:
            say(f"Ready: {shown(TEST.folder)} and {shown(ASSETS)}. Next: python3.11 build_addon.py demo")
        return 0
    except BuildError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"Error: {error.filename or 'a file'}: {error.strerror or error}. Check space and rights.", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on where it stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
