"""Functions of the losses made of another loss."""
