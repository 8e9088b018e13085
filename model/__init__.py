"""The inference core: torch, numpy, cv2 and the contract; never bpy."""
