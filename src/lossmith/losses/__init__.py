"""Every loss of the catalogue; what is exported here is listed, documented and tested."""

from lossmith.losses.regression import MSE, Huber

__all__ = ["MSE", "Huber"]
