"""A study as one HTML page that opens offline."""

from lossmith.study.report.page import render, write_report

__all__ = ["render", "write_report"]
