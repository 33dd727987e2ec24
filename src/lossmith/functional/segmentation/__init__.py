"""Functions of the losses of images of classes: regions and their boundaries."""
