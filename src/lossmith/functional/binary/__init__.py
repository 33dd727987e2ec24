"""Functions of the losses of labels that are 0 or 1: one a row, or many."""
