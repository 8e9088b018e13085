"""The one version number.  The manifest repeats it, because Blender reads it there; a test keeps the two equal."""

VERSION = "0.1.0"
