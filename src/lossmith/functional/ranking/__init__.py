"""Functions of ranked lists."""
