"""Losses made of another loss: of its values, by groups, under permutations."""
