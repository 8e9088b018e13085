"""AttentiveMeshRefine: what runs inside Blender."""
