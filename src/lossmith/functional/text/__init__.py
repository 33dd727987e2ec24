"""Functions of the losses of tokens, and of preferences between completions."""
