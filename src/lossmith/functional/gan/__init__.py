"""Functions of the losses of generators and discriminators."""
