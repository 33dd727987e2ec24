"""Functions of the losses of embeddings and the classes they belong to."""
