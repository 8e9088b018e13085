"""Footage with its truth: the clips that the estimate is measured on, and the project's own."""
