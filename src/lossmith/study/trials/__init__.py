"""Trainings that anyone may run: what is compared, on which folds, what a trial reports."""
