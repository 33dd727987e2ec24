"""The catalogue: losses by name, by what they can train, and from files."""

from lossmith.catalogue.lookup import UnknownLossError, cards, find, from_config, get, load

__all__ = ["UnknownLossError", "cards", "find", "from_config", "get", "load"]
