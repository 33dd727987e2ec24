"""Losses of views of the same rows, without labels."""
