"""Thin callbacks that drive losses in other training loops; each imports its package when used."""
