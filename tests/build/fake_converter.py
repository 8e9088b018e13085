"""Run by test_assets.py as a converter would be: ``-m tests.build.fake_converter FOLDER``."""

import os
import sys
from pathlib import Path

Path(sys.argv[1], "first.bin").write_bytes(b"first")
if os.environ.get("FAKE_CONVERTER_BREAKS"):
    sys.exit("the second file could not be made")
Path(sys.argv[1], "second.bin").write_bytes(b"second")
