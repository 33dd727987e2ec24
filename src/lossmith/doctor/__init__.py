"""What is silently wrong in a training set-up, told before training."""

from lossmith.doctor.check import check_setup
from lossmith.doctor.findings import Finding, Findings

__all__ = ["Finding", "Findings", "check_setup"]
