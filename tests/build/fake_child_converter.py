"""Run by test_assets.py as a converter that reads another asset: ``-m tests.build.fake_child_converter ASSETS OUT``."""

import sys
from pathlib import Path

Path(sys.argv[2], "child.bin").write_bytes(b"child of " + Path(sys.argv[1], "first.bin").read_bytes())
