"""Functions of the losses of one class out of several."""
