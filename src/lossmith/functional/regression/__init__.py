"""Functions of the losses of a number: residuals, robust ones, transformed targets and counts."""
