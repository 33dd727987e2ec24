"""Losses of tokens, and of preferences between completions."""
