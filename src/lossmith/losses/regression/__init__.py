"""Losses of a number: residuals, robust ones, transformed targets and counts."""
