"""Losses of one class out of several."""
