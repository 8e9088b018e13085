"""The environment that a Python which is not Blender's gets."""

from __future__ import annotations

import os
from pathlib import Path

from amr_blender.bridge.process_tree import worker_environment

OURS = {"PYTORCH_ENABLE_MPS_FALLBACK": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def test_nothing_that_steers_another_python() -> None:
    given = {"PYTHONPATH": "/x", "PYTHONHOME": "/y", "VIRTUAL_ENV": "/z", "__PYVENV_LAUNCHER__": "/w", "PATH": "/bin"}
    clean = worker_environment(given, Path("/usr"))
    assert clean == {"PATH": "/bin", **OURS}


def test_blenders_libraries_are_left_out_and_the_systems_kept() -> None:
    given = {"LD_LIBRARY_PATH": os.pathsep.join(["/opt/blender/lib", "/usr/local/cuda/lib64", ""])}
    inside = worker_environment(given, Path("/opt/blender/5.0/python"))
    assert inside["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert worker_environment({"LD_LIBRARY_PATH": "/opt/blender/lib"}, Path("/opt/blender/5.0/python")) == OURS
    outside = worker_environment(given, Path("/home/x/.venv"))
    assert outside["LD_LIBRARY_PATH"] == given["LD_LIBRARY_PATH"]


def test_what_the_animator_set_is_kept() -> None:
    given = {"OMP_NUM_THREADS": "4", "PYTORCH_ENABLE_MPS_FALLBACK": "0", "HTTP_PROXY": "x"}
    given["OMP_WAIT_POLICY"] = "ACTIVE"
    assert worker_environment(given, Path("/usr")) == given
