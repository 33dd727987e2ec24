"""Functions of the losses of a predicted distribution: likelihoods and proper scores."""
