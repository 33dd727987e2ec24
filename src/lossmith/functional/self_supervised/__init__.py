"""Functions of the losses of views of the same rows, without labels."""
