"""Checks of data sets: what cannot be read, what occurs twice, and what labels may be wrong."""

from sklmat.data_checks._check_dataset import check_dataset
from sklmat.data_checks._dataset_report import DatasetReport
from sklmat.data_checks._find_duplicates import find_duplicates as find_duplicates

__all__ = ["DatasetReport", "check_dataset"]
