"""How a worker's end is told to the animator when the worker itself could not."""

from __future__ import annotations

import signal

from ..contract.messages import Failed

_MEMORY = "Close other programs, choose a shorter range of the strip, or set the quality to draft."
_DIAGNOSE = "Press Copy diagnostics and send the text to the add-on's authors."
_PYTHON = "Check the Python in the add-on's preferences, or press Install Runtime there."

# NTSTATUS values that Windows returns as the exit code of a crashed process.
_WINDOWS_CRASHES = {
    0xC0000005: "an access violation",
    0xC000001D: "an instruction that this processor does not know",
    0xC0000135: "a missing system library",
    0xC0000409: "a damaged stack",
}
_WINDOWS_NO_MEMORY = (0xC0000017, 0xC000012D)


def cancelled() -> Failed:
    return Failed("cancelled", "The job was cancelled.", "Start it again whenever you like.")


def silent(seconds: float) -> Failed:
    message = f"The worker process has not answered for {seconds:.0f} seconds and was stopped."
    return Failed("worker-silent", message, "Try again; if it happens again, press Copy diagnostics.")


def stalled(seconds: float) -> Failed:
    message = f"The worker process has made no progress for {seconds / 60:.0f} minutes and was stopped."
    return Failed("worker-stalled", message, "Check that the footage can be read quickly, then try again.")


def garbage(what: str) -> Failed:
    message = f"The worker process sent {what} instead of messages and was stopped."
    return Failed("worker-garbage", message, _PYTHON)


def other_protocol(theirs: int, ours: int) -> Failed:
    message = f"The worker speaks version {theirs} of the protocol, the add-on version {ours}."
    return Failed("worker-version", message, "Restart Blender to finish the add-on's update.")


def without_take() -> Failed:
    return Failed("worker-no-take", "The worker reports success but its take is not there.", "Reconstruct again.")


def ended(exit_code: int, said_hello: bool) -> Failed:
    """The process ended with ``exit_code`` and without a last message."""
    if exit_code < 0:
        return _by_signal(-exit_code)
    status = exit_code & 0xFFFFFFFF
    if status in _WINDOWS_NO_MEMORY:
        return Failed("worker-killed", "The computer ran out of memory.", _MEMORY)
    if status in _WINDOWS_CRASHES:
        return Failed("worker-crashed", f"The worker process crashed by {_WINDOWS_CRASHES[status]}.", _DIAGNOSE)
    if not said_hello:
        message = f"The worker process could not start (exit code {exit_code})."
        return Failed("worker-not-started", message, _PYTHON)
    return Failed("worker-ended", f"The worker process ended without a result (exit code {exit_code}).", _DIAGNOSE)


def _by_signal(number: int) -> Failed:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGKILL":
        message = "The worker process was killed, most likely because the computer ran out of memory."
        return Failed("worker-killed", message, _MEMORY)
    if name in ("SIGTERM", "SIGHUP", "SIGINT"):
        return Failed("worker-killed", f"The worker process was ended from outside ({name}).", "Reconstruct again.")
    if name == "SIGILL":
        message = "The worker process crashed: this processor lacks instructions that torch needs."
        return Failed("worker-crashed", message, "Choose a Python whose torch fits this processor in the preferences.")
    return Failed("worker-crashed", f"The worker process crashed ({name}).", _DIAGNOSE)


def unexpected(error: Exception) -> Failed:
    message = f"Something went wrong beside the worker ({type(error).__name__}: {error})."
    return Failed("internal", message, _DIAGNOSE)
