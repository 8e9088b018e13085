"""Starts, reads, cancels and kills the worker process.  Imports the contract only."""
