"""Losses of classes some of which are wrong."""
