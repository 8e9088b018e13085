"""Entry of the worker process: ``PYTHON -I .../worker/__main__.py JOBFILE``.

This file is run by whatever Python the animator chose, so it must parse in an old one and import nothing but the
standard library before it has made sure of the rest.  It gives the folder that it lies in the name ``amr_blender``
(an installed extension's folder may be called anything) and the nearest ``model`` folder the name ``model``.
"""

import importlib.machinery
import importlib.util
import json
import os
import sys

OLDEST_PYTHON = (3, 11)


def fail(code, message, remedy):  # type: ignore[no-untyped-def]
    """Say why the worker can't even start, in the contract's words, which are not importable yet."""
    failed = {"type": "failed", "code": code, "message": message, "remedy": remedy, "details": sys.version}
    sys.stdout.write(json.dumps(failed) + "\n")
    sys.stdout.flush()
    return 1


def register(name, folder):  # type: ignore[no-untyped-def]
    """Make ``folder`` importable as ``name`` without running its ``__init__``, which may be made for Blender."""
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[name] = importlib.util.module_from_spec(spec)


def main():  # type: ignore[no-untyped-def]
    if sys.version_info < OLDEST_PYTHON:
        return fail(
            "worker-python-too-old",
            "The chosen Python is {}.{}, the worker needs {}.{} or later.".format(
                *sys.version_info[:2], *OLDEST_PYTHON
            ),
            "Choose another Python in the add-on's preferences, or press Install Runtime there.",
        )
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # In the zip model/ lies inside the package, in a checkout beside it.
    candidates = [os.path.join(package, "model"), os.path.join(os.path.dirname(package), "model")]
    model = next((folder for folder in candidates if os.path.isfile(os.path.join(folder, "pipeline.py"))), None)
    if model is None:
        return fail(
            "worker-incomplete", "The add-on's folder has no inference core.", "Install the add-on's zip again."
        )
    register("amr_blender", package)
    register("model", model)
    from amr_blender.worker.run import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
