"""Losses of images of classes: regions and their boundaries."""
