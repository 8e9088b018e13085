"""Blender data in and out: the strip that is read, the rig, mesh, shape keys and camera that are made."""
