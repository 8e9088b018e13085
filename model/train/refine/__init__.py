"""Training of the refinement: DAN and HRN, on drawn footage that the real detector and the estimate have seen."""
