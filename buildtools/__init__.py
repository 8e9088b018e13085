"""What build_addon.py is made of.  Standard library only: it runs before anything is installed. Not shipped."""
