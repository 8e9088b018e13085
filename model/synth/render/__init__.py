"""From a scene to pictures: in torch and, slower and prettier, in Blender."""
