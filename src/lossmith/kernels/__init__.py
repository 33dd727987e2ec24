"""Lean and exact ways to compute losses that would waste time or memory if written plainly.

Each is chosen by size, dtype and mode of execution; `explain` says what ran and why.
"""

from lossmith.kernels.choice import Choice, explain

__all__ = ["Choice", "explain"]
