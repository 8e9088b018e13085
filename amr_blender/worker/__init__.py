"""The process that computes: one job in, progress out, a take on disk.  Never bpy."""
