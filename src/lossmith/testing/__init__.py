"""The conformance suite: puts any loss, also a user's own, through the whole contract."""

from lossmith.testing.suite import Check, ConformanceError, check, checks

__all__ = ["Check", "ConformanceError", "check", "checks"]
