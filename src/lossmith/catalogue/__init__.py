"""The catalogue: losses by name, by what they can train, and from files."""

from lossmith.catalogue.lookup import cards, find, from_config, get, load
from lossmith.catalogue.names import UnknownLossError

__all__ = ["UnknownLossError", "cards", "find", "from_config", "get", "load"]
