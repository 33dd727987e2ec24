"""Losses of embeddings and the classes they belong to."""
