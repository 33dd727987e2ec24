"""The study: which loss serves this data, this model and this metric best."""

from lossmith.study.errors import InputError
from lossmith.study.select import select

__all__ = ["InputError", "select"]
