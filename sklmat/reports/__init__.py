"""`report`: one page about an estimator, its data, its validation and its largest errors."""

from sklmat.reports._report import Report, report, saved_report

__all__ = ["Report", "report", "saved_report"]
