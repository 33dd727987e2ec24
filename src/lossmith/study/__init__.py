"""The study: which loss serves this data, this model and this metric best."""

from lossmith.study.base.errors import InputError
from lossmith.study.selection.select import select

__all__ = ["InputError", "select"]
