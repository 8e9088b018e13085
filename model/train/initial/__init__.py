"""Training of the learned initial estimate."""
