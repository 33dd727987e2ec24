"""Losses of a predicted distribution: likelihoods and proper scores."""
