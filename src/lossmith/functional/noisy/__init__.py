"""Functions of the losses of classes some of which are wrong."""
