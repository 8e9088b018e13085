"""What every operator of the add-on shares: failures become a report, the panel's error box and CANCELLED."""

import bpy

from ..contract.errors import AmrError, Cancelled
from . import problems, redraw


class AmrOperator:
    """Mixin: a subclass implements ``run(context)`` and raises; it never reports errors by itself."""

    bl_options = {"REGISTER"}

    def execute(self, context):
        return self.guarded(lambda: self.run(context))

    def guarded(self, work):
        """Call ``work`` and return its result set; an exception becomes words."""
        try:
            return work() or {"FINISHED"}
        except Cancelled:
            self.report({"INFO"}, "Cancelled.")
        except AmrError as error:
            self.fail(error)
        except NestedFailure as error:
            self.report({"ERROR"}, str(error))
        except Exception as error:  # no traceback in the interface
            self.fail(error)
        return {"CANCELLED"}

    def fail(self, error, details=""):
        """Tell ``error`` in the status bar and the panel; the trace goes to the log."""
        details = details or getattr(error, "details", "")
        problem = problems.remember(error, host=f"Blender {bpy.app.version_string}", details=details)
        self.report({"ERROR"}, problem.text)
        redraw.tag()


class NestedFailure(Exception):
    """An operator that this one called has failed and has told why."""


def call(operator, **arguments):
    """Call an undoable operator so that it makes an undo step of its own.

    Raises:
        NestedFailure: it failed; the problem is already remembered.
    """
    try:
        result = operator("EXEC_DEFAULT", True, **arguments)
    except RuntimeError as error:  # how Blender hands on an inner operator's error report
        text = problems.last.text if problems.last else str(error)
        raise NestedFailure(text) from error
    if "FINISHED" not in result:
        raise NestedFailure(problems.last.text if problems.last else "Blender refused the operation.")
