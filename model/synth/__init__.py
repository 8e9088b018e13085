"""Footage made here, with its truth: a dressed Anny body, motion by hand, a painter for many cheap pictures."""
