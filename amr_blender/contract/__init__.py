"""What the add-on and the worker process agree on.  Standard library and numpy only."""
