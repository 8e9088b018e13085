"""The networks that are trained here: pure torch modules and what they read and write."""
