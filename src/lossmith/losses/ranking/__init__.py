"""Losses that order the items of a list."""
