"""Fitting and training.  Not shipped in the zip; what comes out lies in ``model/weights``."""
