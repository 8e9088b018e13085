"""The refinement: attention, then the body moved to where the pictures show it, pose first, the mesh after."""
