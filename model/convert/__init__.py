"""Build time only, not shipped: third-party networks and bodies into the arrays that the runtime reads."""
